from django.apps import AppConfig


class KeepsiteConfig(AppConfig):
    """The project itself: its system checks."""

    name = "keepsite"
    label = "keepsite"
    verbose_name = "Keepsite"

    def ready(self) -> None:
        """Register the system checks."""
        from keepsite import checks  # noqa: F401, PLC0415  # registering is importing, and needs loaded apps
