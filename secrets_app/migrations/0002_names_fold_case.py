from django.db import migrations

import keepsite.columns


class Migration(migrations.Migration):
    """Names fold case on SQLite too; nothing changes on MariaDB, whose collation does so already."""

    dependencies = [
        ("secrets_app", "0001_initial"),
    ]

    operations = [
        migrations.AlterField(
            model_name="secret",
            name="name",
            field=keepsite.columns.FoldedCharField(max_length=255, null=True),
        ),
        migrations.AlterField(
            model_name="container",
            name="name",
            field=keepsite.columns.FoldedCharField(max_length=255, null=True),
        ),
    ]
