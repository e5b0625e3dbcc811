from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("secrets_app", "0004_secret_by_name"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="secret",
            index=models.Index(
                fields=["project", "deleted_at", "expires_at", "created_at", "id"],
                name="secret_by_expiry",
            ),
        ),
    ]
