"""What workers do with orders: claim them, fulfil them, give them back, end them with an error."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db.models import Case, CharField, DateTimeField, F, Subquery, Value, When
from django.utils import timezone

from keepsite import audit, writes
from keepsite.errors import KeepsiteError
from keepsite.identity.principal import Principal
from orders_app.fulfilment import asymmetric, symmetric
from orders_app.fulfilment.made import insert_all
from orders_app.limits import MOST_TOGETHER, OrderLimits
from orders_app.models import Order
from orders_app.passphrases import forget_passphrase
from orders_app.querysets import OrderQuerySet

log = structlog.get_logger(__name__)

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

    @property
    def may_share_a_commit(self) -> bool:
        """Whether it is a key on its first attempt: one that failed a worker before stands alone."""
        return self.order.type == Order.Type.KEY and self.order.attempts == 1


def claim(order_id: str) -> Sequence[Claim]:
    """Take hold of a waiting order and of the keys handed out with it, at most MOST_TOGETHER.

    Nothing is returned of what is done, deleted or in another worker's hands.

    Raises:
        Unavailable: the database is away.
    """
    now = timezone.now()
    limits = OrderLimits.from_settings()
    pair_until = now + timedelta(seconds=limits.lease_s)
    key_until = now + timedelta(seconds=limits.key_lease_s)
    wanted = [order_id, *_handed_out_with(order_id, now)]
    mine = Order.objects.filter(id__in=wanted, lease_until__in=(pair_until, key_until))
    lease_until = Case(
        When(type=Order.Type.KEY, then=Value(key_until)),
        default=Value(pair_until),
        output_field=DateTimeField(),
    )

    def take() -> None:
        Order.objects.unclaimed(now).filter(id__in=wanted).update(
            lease_until=lease_until, attempts=F("attempts") + 1
        )

    writes.commit_statement(take, committed=mine.exists)
    orders = mine.select_related("project").order_by("not_before", "id")
    return [Claim(order=order, lease_until=order.lease_until) for order in orders]


def fulfil(held: Claim) -> None:
    """Make what the order asks for; on return its result and the ACTIVE order are one commit.

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
        _end(held, now, status=Order.Status.ACTIVE, **made.result)
        insert_all([made])

    writes.commit(finish, committed=Order.objects.filter(id=held.order.id, **made.result).exists)
    audit.record("order.fulfilled", actor=worker_of(held.order), subject=held.order)


def fulfil_together(held: Sequence[Claim]) -> None:
    """Make the keys of one ``claim`` and commit them with their ACTIVE orders; lost ones get none.

    Raises:
        Unavailable: HSM or database are away, nothing was kept; ``release`` the claims.
        Exception: one of them cannot be made, nothing was kept; ``fulfil`` each by itself.
    """
    made = {
        one.order.id: key
        for one, key in zip(held, symmetric.make_all([one.order for one in held]), strict=True)
    }
    secret_ids = {order_id: key.result["secret_id"] for order_id, key in made.items()}
    now = timezone.now()
    ended = Order.objects.filter(id__in=made, secret_id__in=secret_ids.values())
    secret_id = Case(
        *(When(id=order_id, then=Value(secret_id)) for order_id, secret_id in secret_ids.items()),
        output_field=CharField(),
    )

    def finish() -> None:
        count = _held(held).update(**_ended_at(now), status=Order.Status.ACTIVE, secret_id=secret_id)
        still_held = made if count == len(made) else ended.values_list("id", flat=True)
        insert_all([made[order_id] for order_id in still_held])

    writes.commit(finish, committed=ended.exists)
    fulfilled = {*ended.values_list("id", flat=True)}
    for one in held:
        if one.order.id in fulfilled:
            audit.record("order.fulfilled", actor=worker_of(one.order), subject=one.order)
        else:
            log.info("order.claim_lost", order_id=one.order.id)


def release(held: Collection[Claim], *, fault: str = "") -> None:
    """Give orders back after a fault that will pass; they are handed out again after a pause.

    The pause grows with an order's age.  The attempt does not count: however long the
    HSM is away, orders wait for it.  Operators read ``fault``, clients do not.

    Raises:
        Unavailable: the database is away; their leases run out by themselves.
    """
    now = timezone.now()
    pauses_s = {one.order.id: _pause_s(one.order, now) for one in held}

    def give_back() -> None:
        for one in held:
            _held([one]).update(
                lease_until=None,
                handed_out_at=None,
                not_before=now + timedelta(seconds=pauses_s[one.order.id]),
                attempts=F("attempts") - 1,
                retries=F("retries") + 1,
                last_fault=fault[:255],
            )

    writes.commit(give_back, committed=lambda: not _held(held).exists())
    for order_id, pause_s in pauses_s.items():
        log.warning("order.released", order_id=order_id, again_in_s=pause_s)


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
    audit.record("order.failed", actor=worker_of(held.order), subject=held.order, reason=reason)


def worker_of(order: Order) -> Principal:
    """Who fulfilled ``order``, as the audit trail has it: a worker, for the order's creator."""
    return Principal(
        project_id=order.project.external_id,
        user_id=order.creator_id,
        roles=frozenset(),
        method="worker",
        credential_id=order.id,
    )


def _handed_out_with(order_id: str, now: datetime) -> Sequence[str]:
    """Keys that no message but this order's stands for; they waited at least from when it did."""
    named = Order.objects.filter(id=order_id)
    together = Order.objects.unclaimed(now).filter(
        type=Order.Type.KEY,
        attempts=0,
        handed_out_by=Subquery(named.exclude(handed_out_by="").values("handed_out_by")),
        not_before__gte=Subquery(named.values("not_before")),
    )
    others = together.exclude(id=order_id).order_by("not_before", "id")
    return list(others.values_list("id", flat=True)[: MOST_TOGETHER - 1])


def _pause_s(order: Order, now: datetime) -> int:
    waited_s = (now - order.created_at).total_seconds()
    return round(min(max(waited_s, SHORTEST_PAUSE_S), LONGEST_PAUSE_S))


def _held(held: Collection[Claim]) -> OrderQuerySet:
    """Those orders of one ``claim`` that are still in its hands."""
    return Order.objects.live().filter(
        id__in=[one.order.id for one in held],
        status=Order.Status.PENDING,
        lease_until__in={one.lease_until for one in held},
    )


def _end(held: Claim, now: datetime, **columns: str) -> None:
    if not _held([held]).update(**_ended_at(now), **columns):
        raise ClaimLost
    forget_passphrase(held.order)


def _ended_at(now: datetime) -> dict[str, Any]:  # Any: columns
    return {
        "updated_at": now,
        "lease_until": None,
        "sub_status": PROCESSED,
        "sub_status_message": PROCESSED,
    }
