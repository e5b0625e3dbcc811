"""What is due to be purged: of both apps, since a run is about all of it."""

from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from keepsite.errors import InvalidInput
from keepsite.keyring.models import ProjectKEK
from orders_app.models import Order, OrderPassphrase
from secrets_app.models import Payload
from secrets_app.services import Purgeable, Purging, deleted_rows
from secrets_app.services.purging import Hanging

FINISHED = (Order.Status.ACTIVE, Order.Status.ERROR)
MAX_DAYS = 36_500


def what_to_purge(
    *,
    older_than_days: int,
    with_expired: bool = False,
    orders_older_than_days: int | None = None,
    now: datetime | None = None,
) -> Purging:
    """All rows deleted more than ``older_than_days`` ago.

    ``with_expired`` adds secrets that expired as long ago; ``orders_older_than_days``
    adds orders that ended, well or badly, more than so many days ago, deleted or not:
    what they made stays.

    Raises:
        InvalidInput: a number of days that is none.
    """
    now = now or timezone.now()
    moment = _days_before(now, older_than_days)
    orders = Q(deleted_at__lt=moment)
    reason = f"deleted{' or expired' if with_expired else ''} before {moment:%Y-%m-%dT%H:%M:%SZ}"
    if orders_older_than_days is not None:
        finished = _days_before(now, orders_older_than_days)
        orders |= Q(status__in=FINISHED, updated_at__lt=finished)
        reason += f"; orders finished before {finished:%Y-%m-%dT%H:%M:%SZ}"
    kind = Purgeable(
        noun="orders",
        due=Order.objects.filter(orders),
        hanging=(Hanging(model=OrderPassphrase, path="order"),),
    )
    kinds = (kind, *deleted_rows(moment, with_expired=with_expired), _keys_of_retired_projects(moment))
    return Purging(kinds=kinds, reason=reason)


def _keys_of_retired_projects(moment: datetime) -> Purgeable:
    """The pKEKs under which nothing is sealed any more: copies in backups open no more."""
    in_use = (Exists(sealed.objects.filter(pkek=OuterRef("pk"))) for sealed in (Payload, OrderPassphrase))
    unused = ProjectKEK.objects.filter(project__retired_at__lt=moment)
    for use in in_use:
        unused = unused.filter(~use)
    return Purgeable(noun="project keys", due=unused)


def _days_before(now: datetime, days: int) -> datetime:
    if not 0 <= days <= MAX_DAYS:
        raise InvalidInput(f"A number of days must be from 0 to {MAX_DAYS}.")
    return now - timedelta(days=days)
