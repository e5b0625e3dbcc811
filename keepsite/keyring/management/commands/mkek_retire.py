from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from keepsite.errors import KeepsiteError
from keepsite.identity.operators import command_principal
from keepsite.keyring import mkeks
from keepsite.keyring.management.confirming import confirm
from keepsite.keyring.management.naming import mkek_labelled


class Command(BaseCommand):
    """End the service of a former MKEK."""

    help = "Retire a previous MKEK that wraps nothing needed any more. The key stays on the token."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The label."""
        parser.add_argument("label")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *, label: str, yes: bool, **_: object) -> None:
        """Retire, or say what still needs it."""
        mkek = mkek_labelled(label)
        confirm(
            f"{label} will unwrap nothing any more. Backups of the database that are older than its last "
            "rewrap need it: keep the key on the token until the last of them is gone.",
            yes=yes,
        )
        try:
            mkeks.retire_mkek(mkek, actor=command_principal())
        except KeepsiteError as error:
            raise CommandError(error.public) from error
        self.stdout.write(
            f"MKEK {mkek.label} is retired. Its key (CKA_ID {mkek.cka_id}) is still on the token: remove it "
            "there by hand after the last backup that needs it, once all processes were started anew."
        )
