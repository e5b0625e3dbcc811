"""Executing a run: round after round until nothing is left, or nothing more can be done."""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError, connection
from django.db.models import QuerySet
from django.utils import timezone

from keepsite import audit, writes
from keepsite.audit import Actor
from keepsite.errors import KeepsiteError, Unavailable
from keepsite.ids import new_id
from keepsite.keyring.models import KEKRun, KEKRunFailure
from keepsite.keyring.rotation.pace import Pace
from keepsite.keyring.rotation.runs import HAND_OUT_AGAIN_S, work_of
from keepsite.keyring.rotation.scope import Scope
from keepsite.keyring.rotation.work import Failure, Outcome, Work

log = structlog.get_logger(__name__)

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 15.0  # between tries while HSM or database are away
BEAT_EVERY_S = 0.5  # between writings of a run's numbers; its state is looked at after every page


class Execution:
    """One runner's hold on a run that it has claimed.

    ``told`` is called after every page.  ``slice_s`` ends it early, queued again, so that
    a worker has time for others.  ``patience_s`` is how long it waits for an HSM that is
    away before it lets go.
    """

    def __init__(
        self,
        run: KEKRun,
        *,
        actor: Actor,
        told: Callable[[KEKRun], None] = lambda _run: None,
        slice_s: float | None = None,
        patience_s: float = 60.0,
        limit: int | None = None,
    ) -> None:
        self.run = run
        self._actor, self._told = actor, told
        self._slice_s, self._patience_s, self._limit = slice_s, patience_s, limit
        self._began = time.monotonic()
        self._busy_before = run.busy_s
        self._done_before = run.rows_done
        self._written_at = 0.0
        self.was_let_go = False  # HSM or database were away

    def execute(self) -> KEKRun:
        """Work until the run ends, rests, or this hold does; return its row as it then is."""
        try:
            work = work_of(self.run.kind, Scope.read(self.run.scope), actor=self._actor)
            self._work(work)
        except Unavailable as error:
            self._let_go(type(error.__cause__ or error).__name__)
        except (OperationalError, InterfaceError) as error:  # a read met a database that was away
            if not writes.is_passing(error):
                raise
            connection.close()
            self._let_go(type(error).__name__)
        except KeepsiteError as error:
            log.warning(
                "kek_run.refused", run_id=self.run.id, error=type(error).__name__, reason=error.public
            )
            self._end(KEKRun.State.FAILED, error=type(error).__name__)
        self.run.refresh_from_db()
        return self.run

    def _work(self, work: Work) -> None:
        pace = Pace(self.run.rate)
        size = pace.page_size(self.run.batch_rows)
        self._count(work)
        while self.run.rows_left:
            moved = 0
            for outcome in self._outcomes(work, size):
                moved += outcome.done + outcome.lost
                if not self._report(outcome) or self._is_over():
                    return
                pace.count(outcome.done)
                if self._yields_to(pace) or not pace.keep(0, go_on=self._beat) or self._is_over():
                    return
            self._count(work)
            if not moved:
                break
        if not self.run.rows_left:
            work.finish()
        failed = self.run.rows_left > 0
        self._end(
            KEKRun.State.FAILED if failed else KEKRun.State.DONE, error=self.run.last_error if failed else ""
        )

    def _outcomes(self, work: Work, size: int) -> Iterator[Outcome]:
        """What becomes of each page; one whose HSM is away is waited for, then tried again."""
        waited_s, pause_s = 0.0, FIRST_WAIT_S
        for page in work.pages(size):
            while True:
                room = None if self._limit is None else self._limit - self._done_here
                outcome = _moved(work, page if room is None else page[:room])
                away, outcome.unavailable = outcome.unavailable, None
                yield outcome
                if away is None:
                    waited_s, pause_s = 0.0, FIRST_WAIT_S
                    break
                if waited_s >= self._patience_s or self._slice_s is not None:
                    raise away
                log.warning(
                    "kek_run.waiting", run_id=self.run.id, error=type(away.__cause__ or away).__name__
                )
                time.sleep(pause_s)
                waited_s, pause_s = waited_s + pause_s, min(pause_s * 2, LONGEST_WAIT_S)

    @property
    def _done_here(self) -> int:
        return self.run.rows_done - self._done_before

    def _is_over(self) -> bool:
        """Whether this hold ends here: enough rows, or enough time."""
        if self._limit is not None and self._done_here >= self._limit:
            self._rest(KEKRun.State.PAUSED)
            return True
        if self._slice_s is not None and time.monotonic() - self._began >= self._slice_s:
            self._rest(KEKRun.State.QUEUED)
            return True
        return False

    def _yields_to(self, pace: Pace) -> bool:
        """Whether a worker lets go, because waiting for a slow pace would take longer than its slice."""
        wait_s = pace.left_s()
        if self._slice_s is None or not wait_s or time.monotonic() - self._began + wait_s <= self._slice_s:
            return False
        self.was_let_go = True
        self._rest(KEKRun.State.QUEUED, again_in_s=wait_s)
        return True

    def _count(self, work: Work) -> None:
        self.run.rows_left = work.left()
        self._beat()

    def _report(self, outcome: Outcome) -> bool:
        """Write down what became of a page; whether the run is still ours to go on with."""
        self.run.rows_done += outcome.done
        self.run.rows_left = max(0, self.run.rows_left - outcome.done - outcome.lost)
        if outcome.failures:
            self._note_failures(outcome.failures)
        elif outcome.done and not self.run.rows_failed:
            self.run.last_error = ""  # what was away is back
        self._told(self.run)
        return self._beat()

    def _note_failures(self, failures: list[Failure]) -> None:
        rows = [
            KEKRunFailure(
                id=new_id(), run=self.run, row_kind=one.row_kind, row_id=one.row_id, error=one.error
            )
            for one in failures
        ]
        mine = KEKRunFailure.objects.filter(id__in=[row.id for row in rows])
        writes.commit(
            lambda: KEKRunFailure.objects.bulk_create(rows, ignore_conflicts=True), committed=mine.exists
        )
        self.run.rows_failed = KEKRunFailure.objects.filter(run=self.run).count()
        self.run.last_error = failures[-1].error

    def _mine(self) -> QuerySet[KEKRun]:
        return KEKRun.objects.filter(id=self.run.id, state=KEKRun.State.RUNNING, runner=self.run.runner)

    def _beat(self) -> bool:
        """Show now and then that we live; whether nobody paused, cancelled or took the run."""
        if time.monotonic() - self._written_at < BEAT_EVERY_S and self._mine().exists():
            return True
        return self._write()

    def _write(self, **columns: object) -> bool:
        self.run.busy_s = self._busy_before + time.monotonic() - self._began
        numbers = {
            name: getattr(self.run, name)
            for name in ("rows_done", "rows_failed", "rows_left", "busy_s", "last_error")
        }
        beat, self._written_at = timezone.now(), time.monotonic()
        written: list[int] = []

        def write() -> None:
            written[:] = [self._mine().update(heartbeat_at=beat, **numbers, **columns)]

        writes.commit(write, committed=KEKRun.objects.filter(id=self.run.id, heartbeat_at=beat).exists)
        if not written[0]:
            # numbers are told even so: the state is the operators', the counting ours
            kept = KEKRun.objects.filter(id=self.run.id, runner=self.run.runner)
            writes.commit(lambda: kept.update(**numbers), committed=lambda: False)
        return bool(written[0])

    def _rest(self, state: str, *, again_in_s: float = HAND_OUT_AGAIN_S) -> None:
        """Let go of the run; the relay hands it out again after so long."""
        handed_out_at = timezone.now() + timedelta(seconds=again_in_s - HAND_OUT_AGAIN_S)
        self._write(state=state, handed_out_at=handed_out_at)

    def _let_go(self, error: str) -> None:
        """HSM or database are away: workers try again later, a command gives up for now."""
        self.run.last_error = error
        self.was_let_go = True
        if self.run.by_workers:
            self._rest(KEKRun.State.QUEUED)
        else:
            self._end(KEKRun.State.FAILED, error=error)

    def _end(self, state: str, *, error: str) -> None:
        self.run.last_error = error
        if self._write(state=state, ended_at=timezone.now()):
            audit.record(
                f"kek_run.{state}",
                actor=self._actor,
                subject=self.run,
                reason=f"{self.run.rows_done} done, {self.run.rows_failed} failed, {self.run.rows_left} left",
                change=audit.Change(before={"state": KEKRun.State.RUNNING}, after={"state": state}),
            )


def _moved(work: Work, page: Sequence[Any]) -> Outcome:  # Any: rows of one kind
    try:
        return work.move(page)
    except Unavailable as error:  # the database did not take the page
        return Outcome(unavailable=error)
