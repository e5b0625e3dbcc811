"""Hand due jobs out, take one, run it, put it back."""

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import structlog
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from keepsite import writes
from keepsite.errors import NotFound
from keepsite.ids import new_id
from keepsite.schedule.models import ScheduledJob
from keepsite.schedule.registry import jobs

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=60)  # above the time limit of a task
RUN_S = 40.0  # below it
HANDOUT = timedelta(seconds=60)  # a job handed out and not taken is handed out again after this
RETRY = timedelta(seconds=60)


class DatabaseNow(Now):
    """The database's clock, in UTC as Django stores moments; MariaDB's NOW() is in its own time zone."""

    def as_mysql(self, compiler: Any, connection: Any, **extra: Any) -> Any:  # Any: Django's own
        """Source: MariaDB, UTC_TIMESTAMP."""
        return self.as_sql(compiler, connection, template="UTC_TIMESTAMP(6)", **extra)


def due_jobs() -> Sequence[str]:
    """Names of jobs that are due now and that nobody else is told of for the next minute.

    Jobs that are new get their row here, and are due for the first time after their interval.

    Raises:
        DatabaseError, Unavailable: the database is away.
    """
    known = {*ScheduledJob.objects.values_list("name", flat=True)}
    missing = [name for name in jobs() if name not in known]
    for name in missing:
        _make_row(name)
    handed_out_long_ago = Q(handed_out_at=None) | Q(handed_out_at__lt=DatabaseNow() - HANDOUT)
    due = _free(ScheduledJob.objects.filter(handed_out_long_ago, name__in=jobs()))
    return [name for name in due.values_list("name", flat=True) if _told(due.filter(name=name))]


def _told(job: QuerySet[ScheduledJob]) -> bool:
    """Mark the job as handed out; whether this relay did."""
    changed: list[int] = []
    writes.commit(
        lambda: changed.append(job.update(handed_out_at=DatabaseNow())),
        committed=lambda: False,  # at worst another relay tells of it too
    )
    return changed[-1] > 0


def run_job(name: str) -> bool:
    """Run the job if it is due and nobody is at it; whether it was run.

    A job that fails is logged and due again after a minute, or after its interval if that is less.

    Raises:
        Unavailable: the database is away.
    """
    job = jobs().get(name)
    if job is None:
        log.warning("schedule.unknown_job", job=name)
        return False
    holder = new_id()
    mine = ScheduledJob.objects.filter(name=name, holder=holder)
    writes.commit(
        lambda: _free(ScheduledJob.objects.filter(name=name)).update(
            holder=holder, lease_until=DatabaseNow() + LEASE, started_at=DatabaseNow(), runs=F("runs") + 1
        ),
        committed=mine.exists,
    )
    if not mine.exists():
        return False
    pause, outcome = timedelta(seconds=job.every_s), "done"
    try:
        if not job.run(time.monotonic() + RUN_S):
            pause, outcome = timedelta(0), "more to do"
    except Exception as error:  # the edge of a job: whatever it is, the next run may be better
        log.exception("schedule.job_failed", job=name)
        pause, outcome = min(pause, RETRY), f"failed: {type(error).__name__}"
    ended: dict[str, Any] = {  # Any: columns
        "lease_until": None,
        "handed_out_at": None,
        "next_at": DatabaseNow() + pause,
        "ended_at": DatabaseNow(),
        "outcome": outcome,
        "holder": "",
    }
    writes.commit(lambda: mine.update(**ended), committed=lambda: not mine.exists())
    log.info("schedule.job_ended", job=name, outcome=outcome)
    return True


def make_due(name: str) -> None:
    """Have the job run within seconds, whatever its interval.

    Raises:
        NotFound: there is no such job.
    """
    if name not in jobs():
        raise NotFound(f"There is no job {name}; there are {', '.join(sorted(jobs()))}.")
    _make_row(name)
    rows = ScheduledJob.objects.filter(name=name)
    writes.commit(lambda: rows.update(next_at=DatabaseNow(), handed_out_at=None), committed=lambda: False)


def _free(rows: QuerySet[ScheduledJob]) -> QuerySet[ScheduledJob]:
    """Due, and held by nobody."""
    return rows.filter(Q(lease_until=None) | Q(lease_until__lt=DatabaseNow()), next_at__lte=DatabaseNow())


def _make_row(name: str) -> None:
    rows = ScheduledJob.objects.filter(name=name)
    first = timedelta(seconds=jobs()[name].every_s)

    def insert() -> None:
        # the other relay's row is as good
        ScheduledJob.objects.bulk_create(
            [ScheduledJob(name=name, next_at=DatabaseNow() + first)], ignore_conflicts=True
        )

    if not rows.exists():
        writes.commit(insert, committed=rows.exists)
