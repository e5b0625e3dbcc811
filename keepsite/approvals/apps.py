from django.apps import AppConfig


class ApprovalsConfig(AppConfig):
    """Acts that wait for a second person."""

    name = "keepsite.approvals"
    label = "approvals"
    verbose_name = "Approvals"
