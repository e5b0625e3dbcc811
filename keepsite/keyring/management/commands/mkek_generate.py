from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from keepsite.errors import KeepsiteError
from keepsite.identity.operators import command_principal
from keepsite.keyring import services
from keepsite.keyring.models import MKEK


class Command(BaseCommand):
    """Make a master key (MKEK) on the token and register it, pending until it is activated."""

    help = "Generate an MKEK on the token; it wraps nothing until mkek_activate (or --activate)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Label, and what to do with an existing one."""
        parser.add_argument("--label", required=True, help="CKA_LABEL, such as keepsite-mkek-20260131-1")
        parser.add_argument("--activate", action="store_true", help="also make it the current MKEK")
        parser.add_argument(
            "--if-missing", action="store_true", help="do nothing when there is a current MKEK"
        )

    def handle(self, *, label: str, activate: bool, if_missing: bool, **_: object) -> None:
        """Generate, show the key check value, activate if asked."""
        current = MKEK.objects.filter(current_marker=True).first()
        if if_missing and current is not None:
            self.stdout.write(
                f"The current MKEK is {current.label}, key check value {current.kcv}. Nothing to do."
            )
            return
        actor = command_principal()
        try:
            mkek = services.generate_mkek(label=label, actor=actor)
            self.stdout.write(
                f"MKEK {mkek.label} generated: CKA_ID {mkek.cka_id}, key check value {mkek.kcv}"
            )
            if activate:
                services.activate_mkek(mkek, actor=actor)
                self.stdout.write(f"MKEK {mkek.label} is current: it wraps new pKEKs from now on.")
        except KeepsiteError as error:
            raise CommandError(error.public) from error
