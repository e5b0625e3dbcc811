from django.apps import AppConfig


class IdentityConfig(AppConfig):
    """Who is calling, and what they may do."""

    name = "keepsite.identity"
    label = "identity"
    verbose_name = "Access"
