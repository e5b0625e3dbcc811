from django.apps import AppConfig


class FleetConfig(AppConfig):
    """What nodes report of themselves."""

    name = "keepsite.fleet"
    label = "fleet"
    verbose_name = "Fleet"

    def ready(self) -> None:
        """Register the job."""
        from keepsite.fleet.jobs import register_jobs  # noqa: PLC0415  # models are ready now

        register_jobs()
