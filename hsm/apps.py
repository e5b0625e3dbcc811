from django.apps import AppConfig
from django.core.checks import register


class HSMAppConfig(AppConfig):
    """PKCS#11 tokens; it has no models."""

    name = "hsm"
    verbose_name = "HSM"

    def ready(self) -> None:
        """Register the checks of the configuration; what needs the token is ``manage.py hsm_check``."""
        from hsm import checks  # noqa: PLC0415 - imports settings, which must be ready

        register(checks.check_configuration, "hsm")
        register(checks.check_pin_files, "hsm", "security")
        register(checks.check_session_objects, "hsm")
        register(checks.check_software_token, "hsm", "security", deploy=True)
