"""Which pKEKs are due to be replaced: marked, told in the log, and replaced if a setting says so."""

import time
from collections.abc import Iterator
from datetime import datetime

import structlog
from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone

from keepsite import schedule, writes
from keepsite.identity.operators import SCHEDULER
from keepsite.keyring.models import KEKRun, ProjectKEK
from keepsite.keyring.rotation import runs
from keepsite.keyring.rotation.rotate import with_encryptions
from keepsite.keyring.rotation.scope import Scope, days_before

log = structlog.get_logger(__name__)

EVERY_S = 6 * 3_600
BATCH_ROWS = 1_000  # of one transaction: a cluster certifies each
SHOWN_PROJECTS = 20


def register_job() -> None:
    """Have the workers look every six hours."""
    schedule.register(schedule.Job(name="rotation-due", every_s=EVERY_S, run=look_what_is_due))


def look_what_is_due(deadline: float) -> bool:
    """Mark what is due and take the mark off what is not; False if the deadline came first."""
    now = timezone.now()
    due = due_pkeks(now)
    marked = ProjectKEK.objects.exclude(due_at=None)
    for rows, due_at in ((marked.exclude(id__in=due.values("id")), None), (due.filter(due_at=None), now)):
        for ids in _batches(rows):
            if time.monotonic() > deadline:
                return False
            batch = ProjectKEK.objects.filter(id__in=ids)
            writes.commit(
                lambda batch=batch, due_at=due_at: batch.update(due_at=due_at),  # type: ignore[misc]  # bound now
                committed=lambda: False,
            )
    _tell(marked)
    if settings.PKEK_ROTATE_WHEN_DUE and marked.exists():
        _start_runs(now)
    return True


def due_pkeks(now: datetime) -> QuerySet[ProjectKEK]:
    """Active pKEKs that are older, or have sealed more stored rows, than the settings allow."""
    active = ProjectKEK.objects.filter(active_marker=True)
    is_due = Q(pk__in=[])
    if settings.PKEK_MAX_DAYS > 0:
        is_due |= Q(created_at__lt=days_before(now, settings.PKEK_MAX_DAYS))
    if settings.PKEK_MAX_ENCRYPTIONS > 0:
        active = with_encryptions(active)
        is_due |= Q(encryptions__gt=settings.PKEK_MAX_ENCRYPTIONS)
    return active.filter(is_due)


def due_scopes(now: datetime) -> tuple[Scope, ...]:
    """What rotations must be about so that nothing is due: a run has one scope, and there are two limits."""
    scopes = []
    if settings.PKEK_MAX_DAYS > 0:
        scopes.append(Scope(created_before=days_before(now, settings.PKEK_MAX_DAYS)))
    if settings.PKEK_MAX_ENCRYPTIONS > 0:
        scopes.append(Scope(created_before=now, over_encryptions=settings.PKEK_MAX_ENCRYPTIONS))
    return tuple(scopes)


def _batches(rows: QuerySet[ProjectKEK]) -> Iterator[list[str]]:
    ids = list(rows.order_by("id").values_list("id", flat=True))
    for start in range(0, len(ids), BATCH_ROWS):
        yield ids[start : start + BATCH_ROWS]


def _tell(marked: QuerySet[ProjectKEK]) -> None:
    count = marked.count()
    if count:
        first = marked.order_by("due_at", "created_at").values_list("project__external_id", flat=True)
        log.warning("pkek.due", count=count, project_ids=list(first[:SHOWN_PROJECTS]))


def _start_runs(now: datetime) -> None:
    """Leave what is due to the workers, unless an earlier rotation has not ended."""
    if KEKRun.objects.filter(kind=KEKRun.Kind.ROTATE).exclude(state__in=runs.ENDED).exists():
        return
    for scope in due_scopes(now):
        if runs.preview(KEKRun.Kind.ROTATE, scope, actor=SCHEDULER).rows:
            runs.start(KEKRun.Kind.ROTATE, scope, actor=SCHEDULER, reason="due")
