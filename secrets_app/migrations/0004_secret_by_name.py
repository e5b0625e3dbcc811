from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("secrets_app", "0003_secret_list"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="secret",
            index=models.Index(
                fields=["project", "deleted_at", "name", "created_at", "id", "expires_at"],
                name="secret_by_name",
            ),
        ),
    ]
