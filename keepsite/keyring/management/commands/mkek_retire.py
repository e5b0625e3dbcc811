from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from keepsite.approvals import options as two_persons
from keepsite.approvals.commands import MKEK_RETIRE
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
        parser.add_argument("--reason", default="", help="goes into the audit trail")
        two_persons.add_arguments(parser)

    def handle(  # its options
        self, *, label: str, yes: bool, reason: str, ask: bool, emergency: bool, **_: object
    ) -> None:
        """Retire, or say what still needs it."""
        mkek = mkek_labelled(label)
        if not ask:
            self._confirm(label, yes=yes)
        try:
            cleared = two_persons.cleared(
                MKEK_RETIRE,
                (label,),
                actor=command_principal(),
                reason=reason,
                ask=ask,
                emergency=emergency,
                say=self.stdout.write,
            )
            if cleared is None:
                return
            mkeks.retire_mkek(mkek, actor=cleared.actor, reason=cleared.reason)
        except KeepsiteError as error:
            raise CommandError(error.public) from error
        self.stdout.write(
            f"MKEK {mkek.label} is retired. Its key (CKA_ID {mkek.cka_id}) is still on the token: remove it "
            "there by hand after the last backup that needs it, once all processes were started anew."
        )

    def _confirm(self, label: str, *, yes: bool) -> None:
        confirm(
            f"{label} will unwrap nothing any more. Backups of the database that are older than its last "
            "rewrap need it: keep the key on the token until the last of them is gone.",
            yes=yes,
        )
