from django.apps import AppConfig


class SecretsAppConfig(AppConfig):
    """Secrets and what hangs on them."""

    name = "secrets_app"
    verbose_name = "Secrets"
