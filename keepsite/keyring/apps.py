from django.apps import AppConfig


class KeyringConfig(AppConfig):
    """The key hierarchy: MKEKs wrap pKEKs, pKEKs seal payloads."""

    name = "keepsite.keyring"
    label = "keyring"
    verbose_name = "Keys"

    def ready(self) -> None:
        """Register the system checks."""
        from keepsite.keyring import checks  # noqa: F401, PLC0415  # registering is importing
