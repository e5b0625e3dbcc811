"""What workers do at intervals for the nodes' reports."""

from datetime import timedelta

from django.utils import timezone

from keepsite import schedule, writes
from keepsite.fleet.models import MemberChange, NodeReport

EVERY_S = 3_600.0
GONE_AFTER = timedelta(days=1)
KEPT_CHANGES = timedelta(days=30)
BATCH_ROWS = 1_000  # of one transaction: a cluster certifies each


def register_jobs() -> None:
    """Every job of ours."""
    schedule.register(schedule.Job(name="fleet-forget", every_s=EVERY_S, run=forget_what_is_old))


def forget_what_is_old(deadline: float) -> bool:  # noqa: ARG001  # one batch
    """Remove reports of nodes that are gone and changes of state that are old; False if some are left."""
    now = timezone.now()
    silent = NodeReport.objects.filter(told_at__lt=now - GONE_AFTER)
    writes.commit(silent.delete, committed=lambda: not silent.exists())
    old = MemberChange.objects.filter(at__lt=now - KEPT_CHANGES)
    ids = list(old.order_by("at").values_list("id", flat=True)[:BATCH_ROWS])
    batch = MemberChange.objects.filter(id__in=ids)
    writes.commit(batch.delete, committed=lambda: not batch.exists())
    return len(ids) < BATCH_ROWS
