from django.apps import AppConfig


class KeyringConfig(AppConfig):
    """The key hierarchy: MKEKs wrap pKEKs, pKEKs seal payloads."""

    name = "keepsite.keyring"
    label = "keyring"
    verbose_name = "Keys"
