from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from keepsite.errors import KeepsiteError
from keepsite.schedule import jobs
from keepsite.schedule.models import ScheduledJob
from keepsite.schedule.services import make_due


class Command(BaseCommand):
    """Show what the workers do at intervals, and when they did it last."""

    help = "Show the jobs that workers run at intervals; --run NAME has one run within seconds."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which to run now."""
        parser.add_argument("--run", metavar="NAME", help="make this job due now")

    def handle(self, *, run: str | None, **_: object) -> None:
        """List, or make due."""
        if run:
            try:
                make_due(run)
            except KeepsiteError as error:
                raise CommandError(error.public) from error
        rows = {row.name: row for row in ScheduledJob.objects.all()}
        for name, job in sorted(jobs().items()):
            row = rows.get(name)
            last = f"{row.ended_at:%Y-%m-%d %H:%M:%S} {row.outcome}" if row and row.ended_at else "never run"
            due = f"{row.next_at:%Y-%m-%d %H:%M:%S}" if row else "when a relay has seen it"
            self.stdout.write(f"{name:<24} every {job.every_s:>8g} s  due {due}  last {last}")
