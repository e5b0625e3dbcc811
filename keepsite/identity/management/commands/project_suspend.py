from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from keepsite.errors import KeepsiteError
from keepsite.identity.operators import command_principal
from keepsite.projects.suspension import suspend_project


class Command(BaseCommand):
    """``project_suspend PROJECT --reason R``: refuse all its API requests until it is resumed."""

    help = "Refuse every API request of a project until project_resume; what it stored is kept."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which one, and why."""
        parser.add_argument("project", help="the project's id")
        parser.add_argument("--reason", required=True, help="for the audit trail and the console")

    def handle(self, *, project: str, reason: str, **_: object) -> None:
        """Suspend it."""
        try:
            suspended = suspend_project(project, actor=command_principal(), reason=reason)
        except KeepsiteError as error:
            raise CommandError(error.public) from error
        self.stdout.write(f"The project {suspended} is suspended.")
