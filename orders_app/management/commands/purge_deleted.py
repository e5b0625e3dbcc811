import json
import sys
from argparse import ArgumentParser
from dataclasses import replace
from typing import Any, Self

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from keepsite import audit
from keepsite.approvals import options as two_persons
from keepsite.approvals.commands import PURGE_EARLY, PURGE_OVERDUE, Cleared
from keepsite.errors import KeepsiteError
from keepsite.identity.operators import command_principal
from orders_app.recovery import what_to_purge
from secrets_app.services import BATCH_ROWS, Purging, purge


class Command(BaseCommand):
    """Delete for good what was deleted longer ago than the recovery window."""

    help = (
        "Delete for good what was deleted longer ago than the recovery window. May be stopped or killed at"
        " any time and run again, several at once; the exit code is 0 only when nothing is left to purge."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What is due, and how to go about it."""
        parser.add_argument(
            "--older-than-days", type=int, metavar="N", default=settings.RECOVERY_DAYS,
            help="deleted more than N days ago (default: KEEPSITE_RECOVERY_DAYS, now %(default)s)",
        )  # fmt: skip
        parser.add_argument(
            "--expired", action="store_true", help="also secrets that expired as long ago, undeleted"
        )
        parser.add_argument(
            "--orders-older-than-days", type=int, metavar="N",
            help="also orders that ended more than N days ago, deleted or not; what they made stays",
        )  # fmt: skip
        parser.add_argument("--dry-run", action="store_true", help="count what is due and delete nothing")
        parser.add_argument(
            "--batch", type=int, metavar="ROWS", default=BATCH_ROWS,
            help="rows of one transaction at most, 1 to %(default)s (default: %(default)s)",
        )  # fmt: skip
        parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
        parser.add_argument(
            "--reason", default="", help="goes into the audit trail; of an approval or an emergency, too"
        )
        two_persons.add_arguments(parser)

    def handle(self, *, dry_run: bool, batch: int, **options: Any) -> None:  # Any: argparse's values
        """Purge, and say what is left."""
        if not 1 <= batch <= BATCH_ROWS:
            raise CommandError(f"--batch must be from 1 to {BATCH_ROWS}.")
        try:
            purging = what_to_purge(
                older_than_days=options["older_than_days"],
                with_expired=options["expired"],
                orders_older_than_days=options["orders_older_than_days"],
            )
            purged = dict.fromkeys(purging.left(), 0)
            if not dry_run:
                cleared = self._cleared(options)
                if cleared is None:
                    return
                purging = replace(purging, reason=cleared.reason)
                self._purge(purging, purged, actor=cleared.actor, batch=batch, is_quiet=options["json"])
            left = purging.left()
        except KeepsiteError as error:
            raise CommandError(
                f"{error.public} What was purged before stays purged; run it again."
            ) from error
        self._report(purging, purged, left, is_dry_run=dry_run, as_json=options["json"])
        if any(left.values()):
            sys.exit(1)

    def _cleared(self, options: dict[str, Any]) -> Cleared | None:  # Any: argparse's values
        """Who purges; what is not past the recovery window is another matter than what is."""
        days, of_orders = options["older_than_days"], options["orders_older_than_days"]
        is_early = days < settings.RECOVERY_DAYS or options["expired"] or of_orders is not None
        arguments = [f"--older-than-days={days}"]
        arguments += ["--expired"] if options["expired"] else []
        arguments += [] if of_orders is None else [f"--orders-older-than-days={of_orders}"]
        return two_persons.cleared(
            PURGE_EARLY if is_early else PURGE_OVERDUE,
            arguments,
            actor=command_principal(),
            reason=options["reason"],
            ask=options["ask"],
            emergency=options["emergency"],
            say=self.stderr.write if options["json"] else self.stdout.write,
        )

    def _purge(
        self, purging: Purging, purged: dict[str, int], *, actor: audit.Actor, batch: int, is_quiet: bool
    ) -> None:
        with _Bars(purging, is_shown=not is_quiet and sys.stderr.isatty()) as bars:

            def done(noun: str, count: int) -> None:
                purged[noun] += count
                bars.advance(noun, count)

            purge(purging, actor=actor, batch_rows=batch, done=done)

    def _report(
        self,
        purging: Purging,
        purged: dict[str, int],
        left: dict[str, int],
        *,
        is_dry_run: bool,
        as_json: bool,
    ) -> None:
        if as_json:
            self.stdout.write(json.dumps({"what": purging.what, "purged": purged, "left": left}))
            return
        self.stdout.write(f"Rows {purging.what}:")
        for noun, count in purged.items():
            done = "" if is_dry_run else f"{count:>9} purged"
            self.stdout.write(f"{noun:20}{done}{left[noun]:>9} {'due' if is_dry_run else 'left'}")


class _Bars:
    """A progress bar per kind of rows on a terminal, and nothing elsewhere."""

    def __init__(self, purging: Purging, *, is_shown: bool) -> None:
        self._progress = Progress(
            TextColumn("{task.description:20}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not is_shown,
        )
        self._tasks = {
            noun: self._progress.add_task(noun, total=count)
            for noun, count in (purging.left() if is_shown else {}).items()
            if count
        }

    def advance(self, noun: str, count: int) -> None:
        if noun in self._tasks:
            self._progress.advance(self._tasks[noun], count)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
