from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from keepsite.errors import KeepsiteError
from keepsite.identity.operators import command_principal
from orders_app.retirement import restore_project


class Command(BaseCommand):
    """Bring back what project_retire or the Keystone listener deleted."""

    help = "Bring back what project_retire or the Keystone listener deleted."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which project, and why."""
        parser.add_argument("project_id", metavar="PROJECT", help="its id in the identity service")
        parser.add_argument("--reason", required=True, help="for the audit trail")

    def handle(self, *, project_id: str, reason: str, **_: object) -> None:
        """Do it."""
        try:
            project = restore_project(project_id, actor=command_principal(), reason=reason)
        except KeepsiteError as error:
            raise CommandError(error.public) from error
        self.stdout.write(f"Restored project {project}.")
