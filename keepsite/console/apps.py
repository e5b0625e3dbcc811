from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig
from django.db.models.signals import post_migrate


class ConsoleConfig(AppConfig):
    """The operators' console."""

    name = "keepsite.console"
    label = "console"
    verbose_name = "Console"

    def ready(self) -> None:
        """Listen for logins, to record them, and for migrations, to keep the roles' groups."""
        from keepsite.console import checks, sessions, signals  # noqa: F401, PLC0415  # connecting is importing
        from keepsite.console.roles import keep_groups  # noqa: PLC0415  # its models are ready only now

        post_migrate.connect(keep_groups, dispatch_uid="keepsite.console.roles")


class ConsoleAdminConfig(AdminConfig):
    """Django's admin, with our site as its default: apps register with ``admin.register``."""

    default_site = "keepsite.console.site.ConsoleSite"
