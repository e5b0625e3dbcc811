from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from keepsite.errors import KeepsiteError
from keepsite.identity.operators import command_principal
from secrets_app import services


class Command(BaseCommand):
    """``secret_restore ID``: bring a deleted secret back while the recovery window lasts."""

    help = "Bring a deleted secret back, with all that its deletion took away."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which one."""
        parser.add_argument("id", help="the last part of its ref; the audit trail of its deletion has it too")
        parser.add_argument("--reason", default="", help="for the audit trail")

    def handle(self, *, id: str, reason: str, **_: object) -> None:  # noqa: A002  # argparse's name
        """Restore it."""
        try:
            secret = services.restore_secret(id, actor=command_principal(), reason=reason)
        except KeepsiteError as error:
            raise CommandError(error.public) from error
        self.stdout.write(f"The secret {secret.id} of project {secret.project} is back.")
