"""What clients do with orders: place them, and delete them."""

from typing import Any

from django.utils import timezone

from keepsite import audit, writes
from keepsite.errors import NotFound
from keepsite.idempotency.services import KeyedRequest
from keepsite.identity import policy
from keepsite.identity.policy import Target
from keepsite.identity.principal import Principal
from keepsite.ids import new_id
from keepsite.keyring import services as keyring
from keepsite.keyring.sealed import Plaintext
from keepsite.projects import quotas
from keepsite.projects.services import ensure_project
from orders_app import wakeup
from orders_app.models import Order
from orders_app.passphrases import forget_passphrase, seal_passphrase
from orders_app.wishes import ASYMMETRIC, SYMMETRIC, check

OFFERED = {Order.Type.KEY: SYMMETRIC, Order.Type.ASYMMETRIC: ASYMMETRIC}


def target_of(order: Order) -> Target:
    """What the policy is asked about; ``order.project`` is loaded."""
    return Target(kind="order", project_id=order.project.external_id, creator_id=order.creator_id)


def place_order(
    *,
    actor: Principal,
    order_type: Order.Type,
    meta: dict[str, Any],  # Any: JSON values
    passphrase: Plaintext | None = None,
    keyed: KeyedRequest | None = None,
) -> Order:
    """Take an order; on return it is committed and will be fulfilled, whatever dies.

    That ``keyed`` placed it is committed together with it.
    The broker is not waited for: the row is the outbox, and a relay is only nudged.

    Raises:
        NotAllowed: ``actor`` may not place orders.
        QuotaReached: the project has as many orders as it may.
        InvalidInput: it asks for what no worker could make.
        TwinInProgress: a request with the key of ``keyed`` was first.

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
        if keyed is not None:
            keyed.remember(order.id)
        quotas.claim(project, "orders", existing)
        order.save(force_insert=True)
        if sealed is not None:
            sealed.save(force_insert=True)

    is_one_row = sealed is None and keyed is None and not quotas.is_limited(project, "orders")
    write = writes.commit_statement if is_one_row else writes.commit
    write(insert, committed=Order.objects.filter(id=order.id).exists)
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
        forget_passphrase(order)

    writes.commit(mark, committed=Order.objects.filter(id=order.id, deleted_at=now).exists)
    audit.record("order.deleted", actor=actor, subject=order)
