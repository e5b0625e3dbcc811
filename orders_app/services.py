"""Place orders, claim and finish them, delete them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db.models import Case, DateTimeField, F, Value, When
from django.utils import timezone

from keepsite import audit, writes
from keepsite.errors import KeepsiteError, NotFound
from keepsite.identity import policy
from keepsite.identity.policy import Target
from keepsite.identity.principal import Principal
from keepsite.ids import new_id
from keepsite.keyring import services as keyring
from keepsite.keyring.sealed import Plaintext
from keepsite.projects import quotas
from keepsite.projects.services import ensure_project
from orders_app import wakeup
from orders_app.fulfilment import asymmetric, symmetric
from orders_app.limits import OrderLimits
from orders_app.models import Order, OrderPassphrase
from orders_app.passphrases import seal_passphrase
from orders_app.wishes import ASYMMETRIC, SYMMETRIC, check

log = structlog.get_logger(__name__)

OFFERED = {Order.Type.KEY: SYMMETRIC, Order.Type.ASYMMETRIC: ASYMMETRIC}
MAKERS = {Order.Type.KEY: symmetric.make, Order.Type.ASYMMETRIC: asymmetric.make}
SHORTEST_PAUSE_S = 1
LONGEST_PAUSE_S = 60
# What the current Barbican release says of a processed order; clients read it as "nothing special".
PROCESSED = "Unknown"


class ClaimLost(Exception):  # a state of things, not a failure of anything
    """Another worker finished the order, or its lease ran out: nothing of ours is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One worker's hold on an order; ends by itself at ``lease_until``."""

    order: Order
    lease_until: datetime


def target_of(order: Order) -> Target:
    """What the policy is asked about; ``order.project`` is loaded."""
    return Target(kind="order", project_id=order.project.external_id, creator_id=order.creator_id)


def place_order(
    *,
    actor: Principal,
    order_type: Order.Type,
    meta: dict[str, Any],  # Any: JSON values
    passphrase: Plaintext | None = None,
) -> Order:
    """Take an order; on return it is committed and will be fulfilled, whatever dies.

    The broker is not waited for: the row is the outbox, and a relay is only nudged.

    Raises:
        NotAllowed: ``actor`` may not place orders.
        QuotaReached: the project has as many orders as it may.
        InvalidInput: it asks for what no worker could make.

    Source: Barbican API v1, POST /v1/orders.
    """
    policy.require("orders:post", actor)
    check(meta["algorithm"], meta["bit_length"], OFFERED[order_type])
    project = ensure_project(actor.project_id)
    existing = Order.objects.live().filter(project=project).count
    quotas.refuse_if_full(project, "orders", existing)
    order = Order(
        id=new_id(),
        project=project,
        type=order_type,
        meta=meta,
        creator_id=actor.user_id,
        had_passphrase=passphrase is not None,
    )
    sealed = None
    if passphrase is not None:
        sealed = seal_passphrase(order, passphrase, pkek=keyring.sealing_key(actor.project_id))

    def insert() -> None:
        quotas.claim(project, "orders", existing)
        order.save(force_insert=True)
        if sealed is not None:
            sealed.save(force_insert=True)

    writes.commit(insert, committed=Order.objects.filter(id=order.id).exists)
    audit.record("order.placed", actor=actor, subject=order)
    wakeup.wake_relay()
    return order


def delete_order(order: Order, *, actor: Principal) -> None:
    """Take ``order`` away; what it made stays, and a worker that is at it drops it.

    Raises:
        NotAllowed: ``actor`` may not delete it.
        NotFound: somebody else deleted it first.

    Source: Barbican API v1, DELETE /v1/orders/{order_id}.
    """
    policy.require("order:delete", actor, target_of(order))
    now = timezone.now()

    def mark() -> None:
        if not Order.objects.filter(id=order.id, deleted_at=None).update(deleted_at=now):
            raise NotFound("Order not found.")
        _forget_passphrase(order)

    writes.commit(mark, committed=Order.objects.filter(id=order.id, deleted_at=now).exists)
    audit.record("order.deleted", actor=actor, subject=order)


def claim(order_id: str) -> Claim | None:
    """Take hold of a waiting order, or None: it is done, deleted, or another worker has it."""
    now = timezone.now()
    limits = OrderLimits.from_settings()
    pair_until = now + timedelta(seconds=limits.lease_s)
    key_until = now + timedelta(seconds=limits.key_lease_s)
    mine = Order.objects.filter(id=order_id, lease_until__in=(pair_until, key_until))
    lease_until = Case(
        When(type=Order.Type.KEY, then=Value(key_until)),
        default=Value(pair_until),
        output_field=DateTimeField(),
    )

    def take() -> None:
        Order.objects.unclaimed(now).filter(id=order_id).update(
            lease_until=lease_until, attempts=F("attempts") + 1
        )

    writes.commit(take, committed=mine.exists)
    order = mine.select_related("project").first()
    return None if order is None else Claim(order=order, lease_until=order.lease_until)


def fulfil(held: Claim) -> None:
    """Make what the order asks for; on return secret and ACTIVE order are one commit.

    Raises:
        Unavailable: HSM or database are away; ``release`` the claim.
        ClaimLost: nothing was kept, and nothing is left to do.
        KeepsiteError: it will never work; ``fail`` the order.
    """
    limits = OrderLimits.from_settings()
    if held.order.attempts > limits.max_attempts:
        raise KeepsiteError(f"Given up: {limits.max_attempts} attempts ended without an answer.")
    made = MAKERS[Order.Type(held.order.type)](held.order)
    now = timezone.now()

    def finish() -> None:
        made.insert()
        _end(held, now, status=Order.Status.ACTIVE, **made.result)

    writes.commit(finish, committed=Order.objects.filter(id=held.order.id, **made.result).exists)
    audit.record("order.fulfilled", actor=_worker(held.order), subject=held.order)


def release(held: Claim, *, fault: str = "") -> None:
    """Give the order back after a fault that will pass; it is handed out again after a pause.

    The pause grows with the order's age.  The attempt does not count: however long the
    HSM is away, orders wait for it.  Operators read ``fault``, clients do not.
    """
    now = timezone.now()
    waited_s = (now - held.order.created_at).total_seconds()
    pause = round(min(max(waited_s, SHORTEST_PAUSE_S), LONGEST_PAUSE_S))

    def give_back() -> None:
        _held(held).update(
            lease_until=None,
            handed_out_at=None,
            not_before=now + timedelta(seconds=pause),
            attempts=F("attempts") - 1,
            retries=F("retries") + 1,
            last_fault=fault[:255],
        )

    writes.commit(give_back, committed=Order.objects.filter(id=held.order.id, lease_until=None).exists)
    log.warning("order.released", order_id=held.order.id, again_in_s=pause)


def fail(held: Claim, *, reason: str, status_code: int = 500) -> None:
    """End the order with an error that its client can read.

    Raises:
        ClaimLost: somebody else ended it.
    """
    now = timezone.now()

    def finish() -> None:
        _end(
            held,
            now,
            status=Order.Status.ERROR,
            error_status_code=str(status_code),
            error_reason=reason[:255],
        )

    writes.commit(finish, committed=Order.objects.filter(id=held.order.id, status=Order.Status.ERROR).exists)
    audit.record("order.failed", actor=_worker(held.order), subject=held.order, reason=reason)


def _held(held: Claim) -> Any:  # Any: a queryset of Order, typed as its base is
    return Order.objects.filter(
        id=held.order.id, status=Order.Status.PENDING, lease_until=held.lease_until, deleted_at=None
    )


def _end(held: Claim, now: datetime, **columns: str) -> None:
    if not _held(held).update(
        updated_at=now, lease_until=None, sub_status=PROCESSED, sub_status_message=PROCESSED, **columns
    ):
        raise ClaimLost
    _forget_passphrase(held.order)


def _forget_passphrase(order: Order) -> None:
    """Nobody needs it once the order has ended, however it ended."""
    if order.type == Order.Type.ASYMMETRIC:
        OrderPassphrase.objects.filter(order=order).delete()


def _worker(order: Order) -> Principal:
    return Principal(
        project_id=order.project.external_id,
        user_id=order.creator_id,
        roles=frozenset(),
        method="worker",
        credential_id=order.id,
    )
