from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("secrets_app", "0005_secret_by_expiry"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="container",
            index=models.Index(
                fields=["project", "deleted_at", "name", "created_at", "id"],
                name="container_by_name",
            ),
        ),
    ]
