from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("nodes", "0002_lost_nodes"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="node",
            options={
                "ordering": ("name",),
                "permissions": (
                    ("steer_node", "Can drain a node and set its colour"),
                    ("forget_node", "Can forget a node that is gone"),
                ),
            },
        ),
        migrations.AlterModelOptions(
            name="promotion",
            options={
                "ordering": ("-created_at", "id"),
                "permissions": (("steer_promotion", "Can start, resume and roll back a promotion"),),
            },
        ),
        migrations.AddField(
            model_name="node",
            name="forgotten_at",
            field=models.DateTimeField(null=True),
        ),
    ]
