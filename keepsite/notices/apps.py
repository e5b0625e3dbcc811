from django.apps import AppConfig


class NoticesConfig(AppConfig):
    """What operators should know without looking."""

    name = "keepsite.notices"
    label = "notices"
    verbose_name = "Notices"

    def ready(self) -> None:
        """Register system checks, and have the workers look for causes and send."""
        from keepsite.notices import checks  # noqa: F401, PLC0415  # registering is importing
        from keepsite.notices.jobs import register_jobs  # noqa: PLC0415  # models are ready only now

        register_jobs()
