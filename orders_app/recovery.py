"""Orders brought back; and what is due to be purged: of both apps, since a run is about all of it."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from keepsite import audit, writes
from keepsite.errors import Conflict, InvalidInput, NotFound
from keepsite.keyring.models import ProjectKEK
from keepsite.projects.services import count_anew
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
    what = f"deleted{' or expired' if with_expired else ''} before {moment:%Y-%m-%dT%H:%M:%SZ}"
    limits = {"deleted_before": moment} | ({"expired_before": moment} if with_expired else {})
    if orders_older_than_days is not None:
        finished = _days_before(now, orders_older_than_days)
        orders |= Q(status__in=FINISHED, updated_at__lt=finished)
        what += f"; orders finished before {finished:%Y-%m-%dT%H:%M:%SZ}"
        limits["orders_finished_before"] = finished
    kinds = (
        _orders(Order.objects.filter(orders)),
        *deleted_rows(moment, with_expired=with_expired),
        _keys_of_retired_projects(moment),
    )
    return Purging(kinds=kinds, what=what, limits=limits)


def chosen_orders(ids: Collection[str]) -> Purgeable:
    """These orders, as far as they are deleted, for a purge that does not wait for their window's end."""
    return _orders(Order.objects.filter(id__in=ids, deleted_at__isnull=False))


def deleted_orders(moment: datetime) -> Purgeable:
    """Orders deleted before ``moment``."""
    return _orders(Order.objects.filter(deleted_at__lt=moment))


def restore_order(order_id: str, *, actor: audit.Actor, reason: str = "") -> Order:
    """Bring a deleted order back, if it had ended; what it made was never touched.

    An order deleted while it waited stays deleted: its client gave it up, and its pass
    phrase, if it had one, was forgotten.

    Raises:
        NotAllowed: ``actor`` is no operator.
        NotFound: there is no such order, or it has been purged.
        Conflict: it is not deleted, had not ended, or was deleted longer ago than
            KEEPSITE_RECOVERY_DAYS.
    """
    audit.require_operator(actor)
    order = Order.objects.select_related("project").filter(id=order_id).first()
    if order is None:
        raise NotFound(f"There is no order {order_id}, or it has been purged.")
    if order.deleted_at is None:
        raise Conflict("The order is not deleted.")
    if order.status not in FINISHED:
        raise Conflict("The order was deleted before a worker had taken it: its client must place it anew.")
    if order.deleted_at < timezone.now() - timedelta(days=settings.RECOVERY_DAYS):
        raise Conflict(
            f"The order was deleted at {order.deleted_at:%Y-%m-%dT%H:%M:%SZ}, longer ago than the recovery"
            f" window of {settings.RECOVERY_DAYS} days (KEEPSITE_RECOVERY_DAYS)."
        )
    now = timezone.now()
    rows = Order.objects.filter(id=order.id)

    def revive() -> None:
        if not rows.filter(deleted_at=order.deleted_at).update(deleted_at=None, updated_at=now):
            raise Conflict("The order has been restored or purged by somebody else.")
        count_anew({order.project_id})

    writes.commit(revive, committed=rows.filter(deleted_at=None, updated_at=now).exists)
    audit.record(
        "order.restored",
        actor=actor,
        subject=order,
        reason=reason,
        change=audit.Change(before={"deleted_at": order.deleted_at}, after={"deleted_at": None}),
    )
    order.refresh_from_db()
    restored: Order = order
    return restored


def _orders(due: QuerySet[Any]) -> Purgeable:  # Any: a queryset of Order, typed as its base is
    return Purgeable(
        noun="orders", due=due, hanging=(Hanging(model=OrderPassphrase, path="order"),), listed=True
    )


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
