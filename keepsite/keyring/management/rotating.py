import json
import signal
import sys
from abc import abstractmethod
from argparse import ArgumentParser
from datetime import datetime
from types import FrameType
from typing import Any, ClassVar, NoReturn

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from keepsite.errors import KeepsiteError
from keepsite.identity.operators import command_principal
from keepsite.keyring.management.watching import Watched
from keepsite.keyring.models import KEKRun
from keepsite.keyring.rotation import runs
from keepsite.keyring.rotation.execution import Execution
from keepsite.keyring.rotation.runners import runner_name
from keepsite.keyring.rotation.scope import Scope

SHOWN_FAILURES = 20


class RotationCommand(BaseCommand):
    """A rotation from a terminal: its options, its progress, its exit code.

    A run that was killed is gone on with by the next command of the same kind and scope.
    Ctrl-C and SIGTERM pause it.
    """

    kind: ClassVar[KEKRun.Kind]

    @abstractmethod
    def scope(self, options: dict[str, Any], now: datetime) -> Scope:  # Any: argparse's values
        """Which keys the options name."""

    def confirm(self, preview: runs.Preview, options: dict[str, Any]) -> None:  # Any: argparse's values
        """Ask where an act wants it; these do not."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What every rotation takes."""
        parser.add_argument("--dry-run", action="store_true", help="count what is left and change nothing")
        parser.add_argument(
            "--rate", type=float, metavar="N", help="rows per second at most (default: no limit)"
        )
        parser.add_argument(
            "--batch", type=int, default=100, metavar="ROWS",
            help=f"rows of one transaction, 1 to {runs.LARGEST_BATCH} (default: %(default)s)",
        )  # fmt: skip
        parser.add_argument(
            "--limit", type=int, metavar="ROWS", help="stop after so many; the run is then paused"
        )
        parser.add_argument("--reason", default="", help="for the audit record")
        parser.add_argument(
            "--workers",
            action="store_true",
            help="leave it to the workers: print the run's id and return; exit code 0 says that it is queued",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object at the end")

    def handle(self, **options: Any) -> None:  # Any: argparse's values
        """Preview, or run and say what is left; exit code 0 only when nothing is, or workers are to do it."""
        now = timezone.now()
        actor = command_principal()
        try:
            scope = runs.shared_moment(self.kind, self.scope(options, now), now=now)
            preview = runs.preview(self.kind, scope, actor=actor)
            if options["dry_run"]:
                left = self._report_preview(preview, as_json=options["json"])
            else:
                self.confirm(preview, options)
                run = self._taken_up(scope, options, now)
                if options["workers"]:
                    self._report_queued(run, as_json=options["json"])
                    return
                left = self._report(
                    self._executed(run, preview.noun, options), preview.noun, as_json=options["json"]
                )
        except KeepsiteError as error:
            raise CommandError(error.public) from error
        if left:
            sys.exit(1)

    def _taken_up(self, scope: Scope, options: dict[str, Any], now: datetime) -> KEKRun:  # Any: argparse's
        """The run that a killed command left behind, or a new one, and ours unless workers are to have it."""
        if options["workers"]:
            return self._started(scope, options)
        runner = runner_name()
        while True:  # ends: each time round somebody else has taken a run up
            run = runs.unfinished(self.kind, scope, now=now)
            if run is None:
                run = self._started(scope, options)
            else:
                self.stderr.write(f"Going on with run {run.id} of {run.created_at:%Y-%m-%dT%H:%M:%SZ}.")
                runs.set_pace(
                    run, rate=options["rate"], batch_rows=options["batch"], actor=command_principal()
                )
                if run.state in runs.STARTABLE:
                    runs.resume(run, actor=command_principal(), by_workers=False)
            claimed = runs.claim(run.id, runner=runner, now=timezone.now())
            if claimed is not None:
                return claimed

    def _started(self, scope: Scope, options: dict[str, Any]) -> KEKRun:  # Any: argparse's values
        return runs.start(
            self.kind,
            scope,
            actor=command_principal(),
            reason=options["reason"],
            rate=options["rate"],
            batch_rows=options["batch"],
            by_workers=options["workers"],
        )

    def _executed(self, run: KEKRun, noun: str, options: dict[str, Any]) -> KEKRun:  # Any: argparse's
        former = {number: signal.signal(number, _interrupt) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            with Watched(run, noun=noun, is_quiet=options["json"]) as watched:
                execution = Execution(
                    run, actor=command_principal(), told=watched.tell, limit=options["limit"]
                )
                return execution.execute()
        except KeyboardInterrupt:
            runs.pause(run, actor=command_principal())
            raise CommandError(f"Paused. Run the same command to go on with run {run.id}.") from None
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    def _report_preview(self, preview: runs.Preview, *, as_json: bool) -> int:
        if as_json:
            self.stdout.write(json.dumps({"kind": self.kind, "what": preview.noun, "left": preview.rows}))
        else:
            self.stdout.write(f"{preview.rows} {preview.noun} would be done. Nothing was changed.")
        return preview.rows

    def _report_queued(self, run: KEKRun, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps({"run": run.id, "state": run.state, "left": run.rows_left}))
        else:
            self.stdout.write(
                f"Run {run.id} waits for a worker with {run.rows_left} left; `kek_run show {run.id}` tells"
                " how far it is, and `kek_status` ends with 0 once nothing is left."
            )

    def _report(self, run: KEKRun, noun: str, *, as_json: bool) -> int:
        now = runs.progress(run)
        if as_json:
            told = {
                "run": run.id,
                "kind": run.kind,
                "state": run.state,
                "done": now.done,
                "left": now.left,
                "failed": now.failed,
                "per_second": round(now.per_second, 1),
                "last_error": run.last_error,
            }
            self.stdout.write(json.dumps(told))
            return now.left
        self.stdout.write(
            f"Run {run.id} {run.state}: {now.done} {noun} done, {now.left} left, {now.failed} failed; "
            f"{now.per_second:.0f} per second."
        )
        for failure in run.failures.order_by("failed_at")[:SHOWN_FAILURES]:
            self.stdout.write(f"  {failure}")
        return now.left


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
