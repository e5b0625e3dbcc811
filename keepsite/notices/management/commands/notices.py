import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from keepsite.errors import KeepsiteError
from keepsite.identity.operators import command_principal
from keepsite.notices import services
from keepsite.notices.events import Happening, event
from keepsite.notices.finding import channels, find
from keepsite.notices.models import OPEN, Message, Notice


class Command(BaseCommand):
    """Show what operators should look at, acknowledge it, and try whether telling of it works."""

    help = "Notices: what is open; acknowledge one; look for causes now; send a test through each channel."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """A verb."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        listed = verbs.add_parser("list", help="open notices, the most urgent first")
        listed.add_argument("--json", action="store_true", dest="as_json")
        verbs.add_parser("find", help="look for causes now, as workers do every minute")
        acknowledged = verbs.add_parser("acknowledge", help="say that somebody looks after it")
        acknowledged.add_argument("id")
        acknowledged.add_argument("--reason", required=True, help="goes into the audit trail")
        verbs.add_parser("test", help="send a made-up notice through each channel that is set up")

    def handle(self, *, verb: str, **options: Any) -> None:  # Any: argparse's values
        """Do what the verb says."""
        try:
            if verb == "list":
                self._list(as_json=options["as_json"])
            elif verb == "find":
                self.stdout.write(f"{find(timezone.now())} open.")
            elif verb == "acknowledge":
                notice = services.find(options["id"])
                services.acknowledge(notice, actor=command_principal(), reason=options["reason"])
                self.stdout.write(f"Acknowledged: {notice}")
            else:
                self._test()
        except KeepsiteError as error:
            raise CommandError(error.public) from error

    def _list(self, *, as_json: bool) -> None:
        notices = list(Notice.objects.filter(OPEN).order_by("urgency", "raised_at", "id"))
        if as_json:
            told = [
                event(Happening.RAISED, notice) | {"acknowledged_by": notice.acknowledged_by or None}
                for notice in notices
            ]
            self.stdout.write(json.dumps(told, indent=2))
            return
        for notice in notices:
            by = f"  acknowledged by {notice.acknowledged_by}" if notice.acknowledged_by else ""
            urgency = notice.get_urgency_display()
            self.stdout.write(f"{notice.pk}  {urgency:<5} {notice.raised_at:%Y-%m-%d %H:%M}  {notice}{by}")
        if not notices:
            self.stdout.write("Nothing is open.")

    def _test(self) -> None:
        wanted = channels()
        if not wanted:
            raise CommandError("No channel is set up: see docs/operators/notices.md.")
        failed = [channel.label for channel in wanted if not self._try(channel)]
        if failed:
            raise CommandError(f"Not sent by {' and '.join(failed)}.")

    def _try(self, channel: Message.Channel) -> bool:
        try:
            message_id = services.send_test(channel)
        except KeepsiteError as error:
            self.stderr.write(f"{channel.label}: {error.public}")
            return False
        self.stdout.write(f"{channel.label}: sent, {message_id}")
        return True
