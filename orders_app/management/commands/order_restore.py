from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from keepsite.errors import KeepsiteError
from keepsite.identity.operators import command_principal
from orders_app import recovery


class Command(BaseCommand):
    """``order_restore ID``: bring a deleted order back while the recovery window lasts."""

    help = "Bring a deleted order back that had ended; what it made was never touched."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which one."""
        parser.add_argument("id", help="the last part of its ref; the audit trail of its deletion has it too")
        parser.add_argument("--reason", default="", help="for the audit trail")

    def handle(self, *, id: str, reason: str, **_: object) -> None:  # noqa: A002  # argparse's name
        """Restore it."""
        try:
            order = recovery.restore_order(id, actor=command_principal(), reason=reason)
        except KeepsiteError as error:
            raise CommandError(error.public) from error
        self.stdout.write(f"The order {order.id} of project {order.project} is back.")
