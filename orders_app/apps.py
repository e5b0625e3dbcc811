from django.apps import AppConfig


class OrdersAppConfig(AppConfig):
    """Orders: keys that Keepsite makes on request."""

    name = "orders_app"
    verbose_name = "Orders"
