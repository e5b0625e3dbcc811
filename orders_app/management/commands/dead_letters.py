import json
from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from keepsite.errors import KeepsiteError
from keepsite.identity.operators import command_principal
from orders_app import dead_letters
from orders_app.models import DeadLetter

SHOWN = 100


class Command(BaseCommand):
    """List messages that no worker could take; replay or discard them."""

    help = "List messages that no worker could take; have a relay replay them, or discard them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What to do, with which."""
        parser.add_argument("act", choices=("list", "replay", "discard"))
        parser.add_argument("ids", nargs="*", metavar="ID")
        parser.add_argument("--all", action="store_true", help="every one that is not settled yet")
        parser.add_argument("--reason", default="", help="for the audit trail; required to replay or discard")
        parser.add_argument("--json", action="store_true", help="list as JSON, one object a line")

    def handle(self, *, act: str, ids: list[str], reason: str, **options: bool) -> None:
        """Do it."""
        if act == "list":
            self._list(as_json=options["json"])
            return
        if not reason.strip():
            raise CommandError("Say why: --reason ...")
        if options["all"]:
            kept = DeadLetter.objects.filter(state=DeadLetter.State.KEPT).order_by("arrived_at")
            ids = list(kept.values_list("id", flat=True))
        elif not ids:
            raise CommandError("Name the dead letters by their ids, or say --all.")
        settle = dead_letters.replay if act == "replay" else dead_letters.discard
        refused = 0
        for letter_id in ids:
            try:
                settle(letter_id, actor=command_principal(), reason=reason)
            except KeepsiteError as error:
                refused += 1
                self.stderr.write(f"{letter_id}: {error.public}")
            else:
                self.stdout.write(f"{letter_id}: {act}")
        if refused:
            raise CommandError(f"{refused} of {len(ids)} were left as they are.")

    def _list(self, *, as_json: bool) -> None:
        columns = ("id", "state", "queue", "task", "order_id", "reason", "size_bytes", "arrived_at")
        for row in DeadLetter.objects.order_by("-arrived_at").values(*columns)[:SHOWN]:
            if as_json:
                self.stdout.write(json.dumps(row, default=str))
            else:
                self.stdout.write(
                    f"{row['id']}  {row['arrived_at']:%Y-%m-%d %H:%M:%S}  {row['state']:<9} "
                    f"{row['order_id'] or row['task'] or '-'}  {row['reason']}"
                )
