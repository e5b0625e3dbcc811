from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from keepsite.approvals import options as two_persons
from keepsite.approvals.commands import MKEK_ACTIVATE
from keepsite.errors import KeepsiteError
from keepsite.identity.operators import command_principal
from keepsite.keyring import mkeks
from keepsite.keyring.management.confirming import confirm
from keepsite.keyring.management.naming import mkek_labelled
from keepsite.keyring.querysets import current_mkek


class Command(BaseCommand):
    """Make a pending MKEK the current one."""

    help = (
        "Activate a pending MKEK that every HSM member holds: it wraps new pKEKs from now on, the former "
        "one only unwraps."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The label."""
        parser.add_argument("label")
        parser.add_argument(
            "--absent-ok",
            action="store_true",
            help="members that are down now need not show that they hold it",
        )
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument("--reason", default="", help="goes into the audit trail")
        two_persons.add_arguments(parser)

    def handle(  # its options
        self,
        *,
        label: str,
        absent_ok: bool,
        yes: bool,
        reason: str,
        ask: bool,
        emergency: bool,
        **_: object,
    ) -> None:
        """Switch, or say why not."""
        mkek = mkek_labelled(label)
        current = current_mkek()
        if current is not None and current != mkek and not ask:
            confirm(f"{label} takes the place of {current.label}.", yes=yes)
        try:
            cleared = two_persons.cleared(
                MKEK_ACTIVATE,
                (label, "--absent-ok") if absent_ok else (label,),
                actor=command_principal(),
                reason=reason,
                ask=ask,
                emergency=emergency,
                say=self.stdout.write,
            )
            if cleared is None:
                return
            mkeks.activate_mkek(mkek, actor=cleared.actor, absent_ok=absent_ok, reason=cleared.reason)
        except KeepsiteError as error:
            raise CommandError(error.public) from error
        self.stdout.write(f"MKEK {mkek.label} is current: it wraps new pKEKs from now on.")
        if current is not None and current != mkek:
            self.stdout.write("Next: mkek_rewrap, so that the former one can be retired.")
