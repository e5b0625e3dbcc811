"""What workers do at intervals for notices."""

from datetime import datetime, timedelta

from django.utils import timezone

from keepsite import schedule, writes
from keepsite.notices.finding import find
from keepsite.notices.models import Message, Notice
from keepsite.notices.sending import send_due

FIND_EVERY_S = 60.0
SEND_EVERY_S = 30.0
DAY_S = 86_400
KEPT = timedelta(days=90)


def register_jobs() -> None:
    """Every job of ours."""
    schedule.register(schedule.Job(name="notices-find", every_s=FIND_EVERY_S, run=look_for_causes))
    schedule.register(schedule.Job(name="notices-send", every_s=SEND_EVERY_S, run=send_due))
    schedule.register(schedule.Job(name="notices-forget", every_s=DAY_S, run=forget_old_ones))


def look_for_causes(deadline: float) -> bool:  # noqa: ARG001  # a statement or so for each kind
    """Raise, repeat and resolve."""
    find(timezone.now())
    return True


def forget_old_ones(deadline: float) -> bool:  # noqa: ARG001  # two statements
    """Remove resolved notices and ended messages after 90 days; the audit trail keeps who acknowledged."""
    _forget(before=timezone.now() - KEPT)
    return True


def _forget(*, before: datetime) -> None:
    for rows in (Notice.objects.filter(resolved_at__lt=before), Message.objects.filter(ended_at__lt=before)):
        writes.commit(lambda rows=rows: rows.delete(), committed=lambda rows=rows: not rows.exists())  # type: ignore[misc]
