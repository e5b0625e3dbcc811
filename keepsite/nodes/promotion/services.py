"""Start, resume and roll back a promotion; ``runner`` takes the steps."""

from datetime import datetime

from django.db import IntegrityError

from keepsite import audit, writes
from keepsite.errors import Conflict, NotFound
from keepsite.ids import new_id
from keepsite.nodes.limits import NodeLimits
from keepsite.nodes.models import Node, Promotion, PromotionStep
from keepsite.nodes.promotion.plan import demotion_of, steps_of
from keepsite.nodes.promotion.preflight import preflight
from keepsite.nodes.states import Colour

Act = PromotionStep.Act


def start(limits: NodeLimits, *, actor: audit.Actor, reason: str, now: datetime) -> Promotion:
    """Begin to exchange blue and green, one node at a time: first more green, then less.

    Raises:
        Conflict: a check of ``preflight`` does not hold; it names each.
        NotAllowed: ``actor`` is no operator.
    """
    audit.require_operator(actor)
    failed = [check for check in preflight(limits, now=now) if not check.holds]
    if failed:
        raise Conflict(
            "Not started. " + " ".join(f"Not so: {check.name} ({check.seen})." for check in failed)
        )
    promotion = Promotion(id=new_id(), started_by=actor.user_id or "", reason=reason, created_at=now)
    blue, green = (nodes_of(colour) for colour in (Colour.BLUE, Colour.GREEN))
    steps = [(node, Act.TO_GREEN) for node in blue] + demotion_of(green)
    rows = steps_of(promotion, steps, first=0)

    def store() -> None:
        promotion.save(force_insert=True)
        PromotionStep.objects.bulk_create(rows)

    try:
        writes.commit(store, committed=Promotion.objects.filter(id=promotion.id).exists)
    except IntegrityError as error:
        raise Conflict("Another promotion was started at this moment. `promote status` shows it.") from error
    change = audit.Change(
        before={"blue": [node.name for node in blue], "green": [node.name for node in green]},
        after={"state": str(promotion.state), "steps": [str(step) for step in rows]},
    )
    audit.record("promotion.started", actor=actor, subject=promotion, reason=reason, change=change)
    return promotion


def resume(promotion: Promotion, *, actor: audit.Actor, reason: str) -> None:
    """Let a stopped promotion go on with the step that failed.

    Raises:
        Conflict: it is not stopped.
    """
    audit.require_operator(actor)
    rolling_back = promotion.steps.filter(is_rollback=True).exists()
    state = Promotion.State.ROLLING_BACK if rolling_back else Promotion.State.RUNNING
    rows = Promotion.objects.filter(id=promotion.id)

    def store() -> None:
        if not rows.filter(state=Promotion.State.STOPPED).update(state=state, problem="", lease_until=None):
            raise Conflict(f"{promotion} is not stopped, so it cannot be resumed.")
        PromotionStep.objects.filter(promotion=promotion, state=PromotionStep.State.RUNNING).update(
            state=PromotionStep.State.WAITING, started_at=None
        )

    writes.commit(store, committed=rows.filter(state=state).exists)
    audit.record(
        "promotion.resumed", actor=actor, subject=promotion, reason=reason, change=_moved(promotion, state)
    )
    promotion.refresh_from_db()


def roll_back(promotion: Promotion, *, actor: audit.Actor, reason: str) -> None:
    """Give every node that a promotion has touched its old colour again: first the old green ones.

    Raises:
        Conflict: it has ended, or is being rolled back already.
    """
    audit.require_operator(actor)
    rows = Promotion.objects.filter(id=promotion.id)
    undoable = rows.filter(state__in=[Promotion.State.RUNNING, Promotion.State.STOPPED])

    def store() -> None:
        if not undoable.update(state=Promotion.State.ROLLING_BACK, problem=""):
            raise Conflict(
                f"{promotion} has ended or is being rolled back already. `promote status` shows it."
            )

    writes.commit(store, committed=rows.filter(state=Promotion.State.ROLLING_BACK).exists)
    change = _moved(promotion, Promotion.State.ROLLING_BACK)
    audit.record("promotion.rolled_back", actor=actor, subject=promotion, reason=reason, change=change)
    promotion.refresh_from_db()


def open_promotion() -> Promotion:
    """The promotion that has not ended.

    Raises:
        NotFound: there is none.
    """
    promotion = Promotion.objects.filter(open_marker=True).first()
    if promotion is None:
        raise NotFound("No promotion is open.")
    return promotion


def _moved(promotion: Promotion, state: Promotion.State) -> audit.Change:
    return audit.Change(before={"state": str(promotion.state)}, after={"state": str(state)})


def nodes_of(colour: Colour) -> list[Node]:
    """The API nodes that are of this colour now, in the order of their turns."""
    return list(Node.objects.filter(role=Node.Role.API, colour=colour).order_by("name"))
