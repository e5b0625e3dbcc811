from django.apps import AppConfig


class AuditConfig(AppConfig):
    """Who did what to which object, and how it ended."""

    name = "keepsite.audit"
    label = "audit"
    verbose_name = "Audit"
