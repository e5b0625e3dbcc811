from django.apps import AppConfig


class OrdersAppConfig(AppConfig):
    """Orders: keys that Keepsite makes on request."""

    name = "orders_app"
    verbose_name = "Orders"

    def ready(self) -> None:
        """Have the workers do what is due at intervals."""
        from orders_app.jobs import register_jobs  # noqa: PLC0415  # models must be loaded first

        register_jobs()
