"""What workers do at intervals: forget what was accepted too long ago."""

import time

from django.utils import timezone

from keepsite import schedule, writes
from keepsite.idempotency.models import AcceptedRequest
from keepsite.idempotency.services import kept

EVERY_S = 3_600.0
BATCH_ROWS = 1_000  # of one transaction: a cluster certifies each


def register_jobs() -> None:
    """Every job of ours."""
    schedule.register(schedule.Job(name="idempotency-forget", every_s=EVERY_S, run=forget_what_is_old))


def forget_what_is_old(deadline: float) -> bool:
    """Remove requests that do not count any more, batch by batch; False if the deadline comes first."""
    old = AcceptedRequest.objects.filter(accepted_at__lte=timezone.now() - kept())
    while page := list(old.order_by("accepted_at").values_list("pk", flat=True)[:BATCH_ROWS]):
        batch = old.filter(pk__in=page)
        writes.commit(batch.delete, committed=lambda batch=batch: not batch.exists())  # type: ignore[misc]
        if time.monotonic() > deadline:
            return False
    return True
