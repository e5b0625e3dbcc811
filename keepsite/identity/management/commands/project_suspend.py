from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from keepsite.approvals import options as two_persons
from keepsite.approvals.commands import PROJECT_SUSPEND
from keepsite.errors import KeepsiteError
from keepsite.identity.operators import command_principal
from keepsite.projects.suspension import require_possible, suspend_project


class Command(BaseCommand):
    """``project_suspend PROJECT --reason R``: refuse all its API requests until it is resumed."""

    help = "Refuse every API request of a project until project_resume; what it stored is kept."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which one, and why."""
        parser.add_argument("project", help="the project's id")
        parser.add_argument("--reason", required=True, help="for the audit trail and the console")
        two_persons.add_arguments(parser)

    def handle(self, *, project: str, reason: str, ask: bool, emergency: bool, **_: object) -> None:
        """Suspend it."""
        try:
            require_possible(project, suspend=True)  # or an approval would be used up for nothing
            cleared = two_persons.cleared(
                PROJECT_SUSPEND,
                (project,),
                actor=command_principal(),
                reason=reason,
                ask=ask,
                emergency=emergency,
                say=self.stdout.write,
            )
            if cleared is None:
                return
            suspended = suspend_project(project, actor=cleared.actor, reason=cleared.reason)
        except KeepsiteError as error:
            raise CommandError(error.public) from error
        self.stdout.write(f"The project {suspended} is suspended.")
