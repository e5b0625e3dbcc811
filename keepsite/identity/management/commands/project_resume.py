from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from keepsite.approvals import options as two_persons
from keepsite.approvals.commands import PROJECT_RESUME
from keepsite.errors import KeepsiteError
from keepsite.identity.operators import command_principal
from keepsite.projects.suspension import require_possible, resume_project


class Command(BaseCommand):
    """``project_resume PROJECT``: serve a suspended project again."""

    help = "Serve a suspended project again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which one, and why."""
        parser.add_argument("project", help="the project's id")
        parser.add_argument("--reason", default="", help="for the audit trail")
        two_persons.add_arguments(parser)

    def handle(self, *, project: str, reason: str, ask: bool, emergency: bool, **_: object) -> None:
        """Resume it."""
        try:
            require_possible(project, suspend=False)  # or an approval would be used up for nothing
            cleared = two_persons.cleared(
                PROJECT_RESUME,
                (project,),
                actor=command_principal(),
                reason=reason,
                ask=ask,
                emergency=emergency,
                say=self.stdout.write,
            )
            if cleared is None:
                return
            resumed = resume_project(project, actor=cleared.actor, reason=cleared.reason)
        except KeepsiteError as error:
            raise CommandError(error.public) from error
        self.stdout.write(f"The project {resumed} is served again.")
