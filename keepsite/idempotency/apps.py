from django.apps import AppConfig


class IdempotencyConfig(AppConfig):
    """Requests that their clients may repeat."""

    name = "keepsite.idempotency"
    label = "idempotency"
    verbose_name = "Idempotency"

    def ready(self) -> None:
        """Register the job."""
        from keepsite.idempotency.jobs import register_jobs  # noqa: PLC0415  # models are ready now

        register_jobs()
