"""What suspending a project and resuming it have in common on the command line."""

from argparse import ArgumentParser
from collections.abc import Callable
from typing import ClassVar

from django.core.management.base import BaseCommand, CommandError

from keepsite.approvals import options as two_persons
from keepsite.approvals.commands import GuardedCommand
from keepsite.errors import KeepsiteError
from keepsite.identity.operators import command_principal
from keepsite.projects.models import Project
from keepsite.projects.suspension import require_possible


class StandingCommand(BaseCommand):
    """Change whether a project is served, once the two-person rule allows it."""

    guarded: ClassVar[GuardedCommand]
    suspends: ClassVar[bool]
    change: ClassVar[Callable[..., Project]]  # the service, as a static method
    told: ClassVar[str]  # once it is done

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which one, and why."""
        parser.add_argument("project", help="the project's id")
        parser.add_argument("--reason", required=self.suspends, default="", help="for the audit trail")
        two_persons.add_arguments(parser)

    def handle(self, *, project: str, reason: str, ask: bool, emergency: bool, **_: object) -> None:
        """Change it, or ask for an approval."""
        try:
            require_possible(project, suspend=self.suspends)  # or an approval would be used up for nothing
            cleared = two_persons.cleared(
                self.guarded,
                (project,),
                actor=command_principal(),
                reason=reason,
                ask=ask,
                emergency=emergency,
                say=self.stdout.write,
            )
            if cleared is None:
                return
            changed = self.change(project, actor=cleared.actor, reason=cleared.reason)
        except KeepsiteError as error:
            raise CommandError(error.public) from error
        self.stdout.write(self.told.format(project=changed))
