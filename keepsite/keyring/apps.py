from django.apps import AppConfig


class KeyringConfig(AppConfig):
    """The key hierarchy: MKEKs wrap pKEKs, pKEKs seal payloads."""

    name = "keepsite.keyring"
    label = "keyring"
    verbose_name = "Keys"

    def ready(self) -> None:
        """Register system checks and the job, and tell ``hsm_check`` what a token must hold."""
        from hsm.provider import register_mkeks  # noqa: PLC0415  # needs the settings
        from keepsite.keyring import checks  # noqa: F401, PLC0415  # registering is importing
        from keepsite.keyring.querysets import canaries_in_service  # noqa: PLC0415  # models are ready now
        from keepsite.keyring.rotation import due  # noqa: PLC0415

        register_mkeks(canaries_in_service)
        due.register_job()
