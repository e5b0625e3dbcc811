"""What workers do at intervals for secrets and orders."""

import time
from datetime import timedelta

import structlog
from django.conf import settings
from django.core.management import call_command
from django.db.models import Count, Min
from django.utils import timezone

from keepsite import schedule, writes
from keepsite.identity.operators import SCHEDULER
from orders_app.models import DeadLetter, OrderPassphrase
from orders_app.recovery import FINISHED, what_to_purge
from secrets_app.models import Secret
from secrets_app.services import purge

log = structlog.get_logger(__name__)

DAY_S = 86_400
HOUR_S = 3_600
NOTICE = timedelta(days=14)  # before a secret expires


def register_jobs() -> None:
    """Every job of ours; the purge unless KEEPSITE_PURGE_EVERY_H is 0."""
    if settings.PURGE_EVERY_H > 0:
        schedule.register(
            schedule.Job(name="purge", every_s=settings.PURGE_EVERY_H * HOUR_S, run=purge_what_is_due)
        )
    schedule.register(schedule.Job(name="sweep", every_s=HOUR_S, run=sweep))
    schedule.register(schedule.Job(name="expiry-notices", every_s=DAY_S, run=notice_expiring_secrets))


def purge_what_is_due(deadline: float) -> bool:
    """``purge_deleted`` with the recovery window that is configured, until the deadline."""
    purging = what_to_purge(older_than_days=settings.RECOVERY_DAYS)
    if not any(purging.left().values()):
        return True
    purge(purging, actor=SCHEDULER, is_enough=lambda: time.monotonic() > deadline)
    return time.monotonic() <= deadline


def sweep(deadline: float) -> bool:  # noqa: ARG001  # a few statements
    """Take away what has had its time: settled dead letters, pass phrases of ended orders, sessions."""
    settled = DeadLetter.objects.filter(
        settled_at__lt=timezone.now() - timedelta(days=settings.RECOVERY_DAYS)
    )
    orphaned = OrderPassphrase.objects.filter(order__status__in=FINISHED)
    for rows in (settled, orphaned):
        writes.commit(lambda rows=rows: rows.delete(), committed=lambda rows=rows: not rows.exists())  # type: ignore[misc]
    call_command("clearsessions")
    return True


def notice_expiring_secrets(deadline: float) -> bool:  # noqa: ARG001  # one statement
    """One line in the log per project whose secrets expire within 14 days: how many, and when the first."""
    now = timezone.now()
    soon = Secret.objects.live(now).filter(expires_at__lte=now + NOTICE).order_by()
    for project, count, first in (
        soon.values("project__external_id")
        .annotate(count=Count("id"), first=Min("expires_at"))
        .values_list("project__external_id", "count", "first")
    ):
        log.warning("secrets.expire_soon", project_id=project, count=count, first=first.isoformat())
    return True
