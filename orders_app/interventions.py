"""What operators may do about an order: have it tried again, or end it."""

from django.utils import timezone

from keepsite import audit, writes
from keepsite.errors import Conflict, InvalidInput, NotFound
from orders_app import wakeup
from orders_app.models import Order, OrderPassphrase
from orders_app.querysets import OrderQuerySet

LONGEST_REASON_CHARS = 200
CANCELLED_STATUS_CODE = "409"


def retry_order(order_id: str, *, actor: audit.Actor, reason: str) -> Order:
    """Have a failed order made after all, or a waiting one tried at once.

    A failed order becomes PENDING again with all its attempts before it; that is the one
    way out of ERROR, and no call of the API takes it.

    Raises:
        NotAllowed: ``actor`` is no operator.
        InvalidInput: no reason, or one of more than 200 characters.
        NotFound: there is no such order, or it is deleted.
        Conflict: it is fulfilled, a worker has it, or its pass phrase went when it failed.
    """
    audit.require_operator(actor)
    order, rows = _found(order_id, reason)
    if order.status == Order.Status.ERROR and order.type == Order.Type.ASYMMETRIC:
        _refuse_without_its_passphrase(order)
    now = timezone.now()
    again = {"not_before": now, "handed_out_at": None, "updated_at": now}
    fresh = {
        "status": Order.Status.PENDING,
        "attempts": 0,
        "lease_until": None,
        "error_status_code": "",
        "error_reason": "",
        "sub_status": "",
        "sub_status_message": "",
    }

    def put_back() -> None:
        if rows.unclaimed(now).update(**again):
            return
        if not rows.live().filter(status=Order.Status.ERROR).update(**again, **fresh):
            raise Conflict("The order is fulfilled, or a worker is at it.")

    writes.commit(put_back, committed=rows.filter(updated_at=now).exists)
    before = {
        "status": order.status,
        "attempts": order.attempts,
        "not_before": order.not_before,
        "error_status_code": order.error_status_code,
    }
    failed = order.status == Order.Status.ERROR
    after = {name: (again | (fresh if failed else {})).get(name, value) for name, value in before.items()}
    change = audit.Change(before=before, after=after)
    audit.record("order.retried", actor=actor, subject=order, reason=reason, change=change)
    wakeup.wake_relay()
    order.refresh_from_db()
    return order


def cancel_order(order_id: str, *, actor: audit.Actor, reason: str) -> Order:
    """End a waiting order with an error that its client reads; a worker that is at it keeps nothing.

    Raises:
        NotAllowed: ``actor`` is no operator.
        InvalidInput: no reason, or one of more than 200 characters.
        NotFound: there is no such order, or it is deleted.
        Conflict: it has ended.
    """
    audit.require_operator(actor)
    order, rows = _found(order_id, reason)
    now = timezone.now()

    def end() -> None:
        ended = rows.live().filter(status=Order.Status.PENDING).update(
            status=Order.Status.ERROR,
            error_status_code=CANCELLED_STATUS_CODE,
            error_reason=f"Cancelled by an operator: {reason.strip()}",
            lease_until=None,
            updated_at=now,
        )  # fmt: skip
        if not ended:
            raise Conflict("The order has ended already.")
        OrderPassphrase.objects.filter(order_id=order_id).delete()

    writes.commit(end, committed=rows.filter(updated_at=now, status=Order.Status.ERROR).exists)
    change = audit.Change(
        before={"status": order.status, "error_status_code": order.error_status_code},
        after={"status": Order.Status.ERROR.value, "error_status_code": CANCELLED_STATUS_CODE},
    )
    audit.record("order.cancelled", actor=actor, subject=order, reason=reason, change=change)
    order.refresh_from_db()
    return order


def _found(order_id: str, reason: str) -> tuple[Order, OrderQuerySet]:
    if not 1 <= len(reason.strip()) <= LONGEST_REASON_CHARS:
        raise InvalidInput(f"Give a reason of 1 to {LONGEST_REASON_CHARS} characters.")
    rows = Order.objects.filter(id=order_id)
    order = rows.live().first()
    if order is None:
        raise NotFound(f"There is no order {order_id}, or it is deleted.")
    return order, rows


def _refuse_without_its_passphrase(order: Order) -> None:
    if order.had_passphrase is not False:
        raise Conflict(
            "The pair may have been ordered with a pass phrase, which is gone since the order failed: "
            "its client must place it anew."
        )
