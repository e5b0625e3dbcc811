import json
import sys
from argparse import ArgumentParser

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from keepsite.errors import KeepsiteError, Unavailable
from keepsite.identity.operators import command_principal
from keepsite.trail.models import AuditChain, Json
from keepsite.trail.removals import unfinished
from keepsite.trail.retention import due, prune
from keepsite.trail.sealing import ChainBrokenError

FAILED = 2  # exit code: it could not be done, or not to its end


class Command(BaseCommand):
    """Remove copied audit records that are older than the retention, so that the rest proves to be whole."""

    help = (
        "Remove collected audit records sealed more than KEEPSITE_AUDIT_RETENTION_DAYS ago, as workers do"
        " daily. May be stopped or killed at any time: the next run goes on, or a worker within the hour."
        " The files on the nodes stay. Exit code 1: a chain is not whole, and was kept from the step on in"
        " which that was found. 2: it could not be done."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What to do, and how to tell."""
        parser.add_argument("--dry-run", action="store_true", help="count what is due and remove nothing")
        parser.add_argument("--json", action="store_true", dest="as_json", help="print one JSON object")

    def handle(self, *, dry_run: bool, as_json: bool, **_: object) -> None:
        """Remove, and say what."""
        days = settings.AUDIT_RETENTION_DAYS
        chains = AuditChain.objects.all() if days else unfinished(before=timezone.now())
        if not (days or chains.exists()):
            raise CommandError("KEEPSITE_AUDIT_RETENTION_DAYS is 0: all records are kept.", returncode=FAILED)
        try:
            told = [
                self._chain(chain, days, is_quiet=as_json, is_dry_run=dry_run)
                for chain in chains.order_by("node", "began_at")
            ]
        except Unavailable as error:
            words = f"{error.public} What was removed before is gone; run it again."
            raise CommandError(words, returncode=FAILED) from error
        except KeepsiteError as error:
            raise CommandError(error.public, returncode=FAILED) from error
        if as_json:
            self.stdout.write(json.dumps({"retention_days": days, "chains": told}, indent=2))
        if any(chain["kept_because"] for chain in told):
            sys.exit(1)

    def _chain(self, chain: AuditChain, days: int, *, is_quiet: bool, is_dry_run: bool) -> Json:
        now = timezone.now()
        extent = due(chain, days=days, now=now)
        kept_because = ""
        if not is_dry_run:
            bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                disable=is_quiet or not sys.stderr.isatty(),
            )
            with bar:
                task = bar.add_task(f"{chain.node}, segments", total=extent.segments)
                try:
                    prune(
                        chain,
                        days=days,
                        actor=command_principal(),
                        told=lambda count: bar.advance(task, count),
                    )
                except ChainBrokenError as error:
                    kept_because = str(error)
        left = due(chain, days=days, now=now)
        told = {
            "chain": chain.id,
            "node": chain.node,
            "removed": {
                "segments": extent.segments - left.segments,
                "records": extent.records - left.records,
            },
            "left": {"segments": left.segments, "records": left.records},
            "kept_because": kept_because,
        }
        if not is_quiet:
            self.stdout.write(_in_words(told, is_dry_run=is_dry_run))
        return told


def _in_words(told: Json, *, is_dry_run: bool) -> str:
    extent = told["left"] if is_dry_run else told["removed"]
    words = f"{extent['records']} records in {extent['segments']} segments"
    done = f"{words} are due" if is_dry_run else f"{words} removed"
    kept = f"; the rest is kept as evidence: {told['kept_because']}" if told["kept_because"] else ""
    return f"{told['node']}: {done}{kept}"
