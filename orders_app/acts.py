"""What operators do with orders in the console."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from keepsite.acts import Act
from keepsite.acts.recovery import PurgeOverdue, PurgeRows, RestoreRows
from orders_app import recovery
from secrets_app.services import Purging, purge


class RestoreOrders(RestoreRows):
    """Bring ended orders back; one that was deleted while it waited stays deleted."""

    def applies_to(self, row: Any, *, now: datetime) -> bool:  # Any: an order
        """As the service has it."""
        return super().applies_to(row, now=now) and row.status in recovery.FINISHED


def _chosen(ids: Collection[str], reason: str) -> Purging:
    return Purging(kinds=(recovery.chosen_orders(ids),), reason=reason)


def _due(moment: datetime, reason: str) -> Purging:
    return Purging(kinds=(recovery.deleted_orders(moment),), reason=reason)


ORDER_ACTS: tuple[Act, ...] = (
    RestoreOrders(noun="order", permission="orders_app.restore_order", restore=recovery.restore_order),
    PurgeRows(noun="order", permission="orders_app.purge_order", purge=purge, chosen=_chosen),
    PurgeOverdue(noun="order", permission="orders_app.purge_order", purge=purge, due=_due),
)
