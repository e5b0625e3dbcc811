from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class ConsoleConfig(AppConfig):
    """The operators' console."""

    name = "keepsite.console"
    label = "console"
    verbose_name = "Console"

    def ready(self) -> None:
        """Listen for logins, to record them."""
        from keepsite.console import signals  # noqa: F401, PLC0415  # connecting is importing


class ConsoleAdminConfig(AdminConfig):
    """Django's admin, with our site as its default: apps register with ``admin.register``."""

    default_site = "keepsite.console.site.ConsoleSite"
