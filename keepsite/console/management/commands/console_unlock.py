from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from keepsite.errors import KeepsiteError
from keepsite.identity.operators import command_principal
from keepsite.operators import lockout
from keepsite.operators.models import Lockout


class Command(BaseCommand):
    """``console_unlock``: let somebody try again who gave too many wrong passwords or codes."""

    help = "Release lock-outs of the console before they end by themselves."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whom."""
        whom = parser.add_mutually_exclusive_group(required=True)
        whom.add_argument("--username", help="an operator, in every browser")
        whom.add_argument("--address", help="everybody who comes from there")
        whom.add_argument("--all", action="store_true", help="everybody")
        parser.add_argument("--reason", required=True, help="kept in the audit trail")

    def handle(self, *, username: str | None, address: str | None, reason: str, **_: object) -> None:
        """Release, and say how many."""
        rows = Lockout.objects.order_by("pk")
        if username is not None:
            rows = rows.filter(label=username).exclude(kind=Lockout.Kind.ADDRESS)
        elif address is not None:
            rows = rows.filter(label=address, kind=Lockout.Kind.ADDRESS)
        try:
            count = lockout.release(list(rows), actor=command_principal(), reason=reason)
        except KeepsiteError as error:
            raise CommandError(error.public) from error
        self.stdout.write(f"{count} released.")
