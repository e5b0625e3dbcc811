from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from keepsite.errors import KeepsiteError
from keepsite.identity.operators import command_principal
from keepsite.projects.suspension import resume_project


class Command(BaseCommand):
    """``project_resume PROJECT``: serve a suspended project again."""

    help = "Serve a suspended project again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which one, and why."""
        parser.add_argument("project", help="the project's id")
        parser.add_argument("--reason", default="", help="for the audit trail")

    def handle(self, *, project: str, reason: str, **_: object) -> None:
        """Resume it."""
        try:
            resumed = resume_project(project, actor=command_principal(), reason=reason)
        except KeepsiteError as error:
            raise CommandError(error.public) from error
        self.stdout.write(f"The project {resumed} is served again.")
