from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("secrets_app", "0002_names_fold_case"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="secret",
            index=models.Index(
                fields=["project", "deleted_at", "created_at", "id", "expires_at"],
                name="secret_list",
            ),
        ),
    ]
