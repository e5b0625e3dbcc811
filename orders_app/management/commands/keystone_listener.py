import signal
import sys
import threading
from argparse import ArgumentParser

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from keepsite.errors import KeepsiteError
from keepsite.identity.operators import command_principal
from orders_app.keystone_events import TooManyDeletions, clear_alarm
from orders_app.keystone_listener import KeystoneListener

log = structlog.get_logger(__name__)

ALARM_EXIT_CODE = 3


class Command(BaseCommand):
    """Retire the projects that Keystone announces as deleted, until told to stop by SIGTERM or Ctrl-C."""

    help = (
        "Retire projects that Keystone deletes. Ends with exit code 3, and does not start again, when more"
        " go than KEEPSITE_KEYSTONE_EVENTS_MAX_PER_HOUR; --clear-alarm says that they were meant."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How to go on after an alarm."""
        parser.add_argument(
            "--clear-alarm", action="store_true", help="let the listener go on after an alarm, and end"
        )
        parser.add_argument("--reason", default="", help="why, for the audit trail")

    def handle(self, *, clear_alarm: bool, reason: str, **_: object) -> None:
        """Listen in this process."""
        if clear_alarm:
            self._clear(reason)
            return
        if not settings.KEYSTONE_EVENTS_URL:
            raise CommandError(
                "Set KEEPSITE_KEYSTONE_EVENTS_URL to the RabbitMQ that Keystone sends notifications to."
            )
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        try:
            KeystoneListener(settings.KEYSTONE_EVENTS_URL).run(stop)
        except TooManyDeletions:
            log.critical("keystone_listener.alarm")
            self.stderr.write(
                "Keystone announced more deleted projects than is usual; nothing more is retired. Look at"
                " the audit trail. If they were meant: manage.py keystone_listener --clear-alarm --reason"
                " ...; if not: manage.py project_restore PROJECT --reason ..."
            )
            sys.exit(ALARM_EXIT_CODE)

    def _clear(self, reason: str) -> None:
        if not reason.strip():
            raise CommandError("Say why: --reason ...")
        try:
            alarm = clear_alarm(actor=command_principal(), reason=reason)
        except KeepsiteError as error:
            raise CommandError(error.public) from error
        self.stdout.write(f"Cleared: {alarm}")
