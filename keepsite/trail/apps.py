from django.apps import AppConfig


class TrailConfig(AppConfig):
    """The collected audit trail, chained and sealed."""

    name = "keepsite.trail"
    label = "trail"
    verbose_name = "Audit trail"

    def ready(self) -> None:
        """Have the workers seal, verify and prune at intervals."""
        from keepsite.trail import checks  # noqa: F401, PLC0415  # importing registers them
        from keepsite.trail.jobs import register_jobs  # noqa: PLC0415  # models must be loaded first

        register_jobs()
