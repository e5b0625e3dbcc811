import django.utils.timezone
from django.db import migrations, models

import keepsite.columns
import keepsite.ids


class Migration(migrations.Migration):

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Notice",
            fields=[
                ("id", keepsite.columns.ExactCharField(default=keepsite.ids.new_id, editable=False, max_length=36, primary_key=True, serialize=False)),
                ("key", keepsite.columns.ExactCharField(editable=False, max_length=128)),
                ("open_marker", models.BooleanField(default=True, editable=False, null=True)),
                ("kind", keepsite.columns.ExactCharField(editable=False, max_length=40)),
                ("urgency", models.PositiveSmallIntegerField(choices=[(1, "now"), (2, "soon")], default=2)),
                ("text", models.CharField(max_length=255)),
                ("path", models.CharField(blank=True, default="", max_length=255)),
                ("raised_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("told_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("told_count", models.PositiveIntegerField(default=1, editable=False)),
                ("resolved_at", models.DateTimeField(editable=False, null=True)),
                ("acknowledged_by", keepsite.columns.ExactCharField(blank=True, default="", max_length=150)),
                ("acknowledged_at", models.DateTimeField(null=True)),
                ("acknowledgement_reason", models.CharField(blank=True, default="", max_length=255)),
            ],
            options={
                "ordering": ("-raised_at", "id"),
                "permissions": (("acknowledge_notice", "Can acknowledge notices"),),
                "default_permissions": ("view",),
                "indexes": [models.Index(fields=["open_marker", "urgency", "raised_at"], name="notices_open")],
                "constraints": [models.UniqueConstraint(fields=("key", "open_marker"), name="notices_open_key")],
            },
        ),
        migrations.CreateModel(
            name="Message",
            fields=[
                ("id", keepsite.columns.ExactCharField(default=keepsite.ids.new_id, editable=False, max_length=36, primary_key=True, serialize=False)),
                ("channel", models.CharField(choices=[("email", "e-mail"), ("webhook", "webhook")], max_length=8)),
                ("events", models.JSONField(default=list)),
                ("state", models.CharField(choices=[("waiting", "waiting"), ("sent", "sent"), ("given_up", "given up")], default="waiting", max_length=8)),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("last_error", models.CharField(blank=True, default="", max_length=255)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("next_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("ended_at", models.DateTimeField(editable=False, null=True)),
            ],
            options={
                "ordering": ("created_at", "id"),
                "default_permissions": ("view",),
                "indexes": [models.Index(fields=["state", "next_at"], name="notices_message_due")],
            },
        ),
    ]
