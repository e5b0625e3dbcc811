from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from keepsite.errors import KeepsiteError
from keepsite.identity.operators import command_principal
from orders_app.retirement import retire_project


class Command(BaseCommand):
    """Delete all that a project has; project_restore takes it back within the recovery window."""

    help = "Delete all that a project has; project_restore takes it back within the recovery window."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which project, and why."""
        parser.add_argument("project_id", metavar="PROJECT", help="its id in the identity service")
        parser.add_argument("--reason", required=True, help="for the audit trail")

    def handle(self, *, project_id: str, reason: str, **_: object) -> None:
        """Do it."""
        try:
            project = retire_project(project_id, actor=command_principal(), reason=reason)
        except KeepsiteError as error:
            raise CommandError(error.public) from error
        if project is None:
            raise CommandError(f"There is no project {project_id}.")
        self.stdout.write(f"Retired project {project}.")
