from typing import Any

from django.core.management.base import BaseCommand, CommandError

from hsm import provider
from hsm.client import HSM
from hsm.connection import mechanism_name
from hsm.errors import HSMError


class Command(BaseCommand):
    """Log in to the HSM in a process of its own and tell what is there."""

    help = "Log in to every HSM member, check its mechanisms, list its MKEKs; exit code 0 only if all serve."
    requires_system_checks = ()  # it says better what is wrong

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        """Print a table per member."""
        del args, options
        try:
            hsm = HSM(provider.config_from_settings())
        except HSMError as error:
            raise CommandError(str(error)) from error
        try:
            hsm.start()
            mkeks = hsm.mkeks()
        except HSMError as error:
            raise CommandError(f"{type(error).__name__}: {error}") from error
        finally:
            for member in hsm.status():
                self._row(f"member {member.name}", member.state)
                self._row("  module", member.module)
                self._row("  token", f"{member.token_label or '-'}  serial {member.token_serial or '-'}")
        self._row(
            "  mechanisms", ", ".join(mechanism_name(number) for number in hsm.profile.required_mechanisms)
        )
        for mkek in mkeks:
            self._row(f"  MKEK {mkek.label}", f"id {mkek.mkek_id.hex()}  kcv {mkek.kcv.hex() or '-'}")
        if not mkeks:
            self._row("  MKEK", "none yet; `manage.py mkek_generate` makes one")
        hsm.close()

    def _row(self, name: str, value: str) -> None:
        self.stdout.write(f"{name:<24} {value}")
