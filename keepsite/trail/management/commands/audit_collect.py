import signal
import threading
from argparse import ArgumentParser
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from keepsite.errors import KeepsiteError
from keepsite.trail.collecting import Collector, Copies, alone, keep_collecting


class Command(BaseCommand):
    """Collect this host's audit files; for hosts without a relay, which does the same."""

    help = "Bring this host's audit files to the database until told to stop, or --once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How long."""
        parser.add_argument("--once", action="store_true", help="what there is now, then end")

    def handle(self, *, once: bool, **_: object) -> None:
        """Collect."""
        if once:
            self._once()
            return
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        keep_collecting(stop)

    def _once(self) -> None:
        folder = Path(settings.AUDIT_DIR)
        if not folder.exists():
            raise CommandError(f"There is no folder {folder}: this host has recorded nothing.")
        collector = Collector(folder, node=settings.NODE_NAME, copies=Copies(settings.AUDIT_COPIES))
        lines = 0
        with alone(folder) as is_mine:
            if not is_mine:
                raise CommandError("Another process of this host collects: the relay, or audit_collect.")
            try:
                while made := collector.collect():
                    lines += made
            except KeepsiteError as error:
                raise CommandError(error.public) from error
        self.stdout.write(f"{lines} records collected.")
