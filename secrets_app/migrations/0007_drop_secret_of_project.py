from django.db import migrations


class Migration(migrations.Migration):
    """``secret_list`` begins with the same columns and serves every query that this one served."""

    dependencies = [
        ("secrets_app", "0006_container_by_name"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="secret",
            name="secret_of_project",
        ),
    ]
