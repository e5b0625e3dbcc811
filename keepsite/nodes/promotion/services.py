"""Start, resume and roll back a promotion; ``runner`` takes the steps."""

from datetime import datetime

from django.db import IntegrityError
from django.db.models import Q

from keepsite import audit, writes
from keepsite.errors import Conflict, NotFound
from keepsite.ids import new_id
from keepsite.nodes.limits import NodeLimits
from keepsite.nodes.models import Node, Promotion, PromotionStep
from keepsite.nodes.promotion.plan import GOALS, demotion_of, steps_of
from keepsite.nodes.promotion.preflight import preflight
from keepsite.nodes.states import Colour

Act = PromotionStep.Act
ROLLED_BACK_FROM = (Promotion.State.RUNNING, Promotion.State.STOPPED, Promotion.State.DONE)
_TRIED_AGAIN = Q(state=PromotionStep.State.DROPPED, is_rollback=True, act=Act.TO_GREEN)
_OPEN_STEPS = Q(state__in=[PromotionStep.State.WAITING, PromotionStep.State.RUNNING])


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

    Nodes that its rollback passed over are tried once more before, where they are to turn green.

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
        again = Q(state=PromotionStep.State.RUNNING) | _TRIED_AGAIN
        PromotionStep.objects.filter(again, promotion=promotion).update(
            state=PromotionStep.State.WAITING, started_at=None, ended_at=None
        )

    writes.commit(store, committed=rows.filter(state=state).exists)
    audit.record(
        "promotion.resumed", actor=actor, subject=promotion, reason=reason, change=_moved(promotion, state)
    )
    promotion.refresh_from_db()


def require_stopped(promotion: Promotion) -> None:
    """Return if a promotion can be resumed.

    Raises:
        Conflict: it is not stopped.
    """
    if promotion.state != Promotion.State.STOPPED:
        raise Conflict(f"{promotion} is not stopped, so it cannot be resumed.")


def roll_back(promotion: Promotion, *, actor: audit.Actor, reason: str) -> None:
    """Give every node that a promotion has touched its old colour again: first the old green ones.

    One that is done is open again on return; it can be taken back as long as ``why_it_stays`` is empty.

    Raises:
        Conflict: it is being rolled back already or was, or it is done and what it did is history.
    """
    audit.require_operator(actor)
    rows = Promotion.objects.filter(id=promotion.id)
    undoable = rows.filter(state__in=ROLLED_BACK_FROM)
    begun = {"state": Promotion.State.ROLLING_BACK, "open_marker": True}

    def store() -> None:
        promotion.refresh_from_db()
        if reason_against := why_it_stays(promotion):
            raise Conflict(f"{promotion} cannot be rolled back: {reason_against}")
        if not undoable.update(**begun, problem="", ended_at=None, lease_until=None):
            raise Conflict(
                f"{promotion} was rolled back or is being rolled back already. `promote status` shows it."
            )

    try:
        writes.commit(store, committed=rows.filter(**begun).exists)
    except IntegrityError as error:
        raise Conflict("Another promotion was started at this moment. `promote status` shows it.") from error
    change = _moved(promotion, Promotion.State.ROLLING_BACK)
    audit.record("promotion.rolled_back", actor=actor, subject=promotion, reason=reason, change=change)
    promotion.refresh_from_db()


def why_it_stays(promotion: Promotion) -> str:
    """What speaks against taking a promotion back that is done, in a sentence; empty if nothing does.

    Its colours must still stand: no promotion came after it, and nobody gave one of its nodes another
    colour since.  A node that drains, or was taken out of service, changes nothing of that.
    """
    if promotion.state != Promotion.State.DONE:
        return ""
    if Promotion.objects.filter(created_at__gt=promotion.created_at).exists():
        return "a later promotion has been started."
    own_steps = promotion.steps.filter(is_rollback=False).select_related("node")
    meant = {step.node: GOALS[Act(step.act)].colour for step in own_steps}
    steered = [node for node, colour in meant.items() if node.wanted_colour not in {colour, Colour.NONE}]
    if steered:
        told = ", ".join(f"{node.name} is to be {node.wanted}" for node in steered)
        return f"other colours were set since it ended ({told})."
    if not any(node.wanted_colour == Colour.BLUE for node in meant):
        return "every node that was green before it is out of service."
    return ""


def can_be_rolled_back(promotion: Promotion) -> bool:
    """Whether ``roll_back`` would take it."""
    return promotion.state in ROLLED_BACK_FROM and not why_it_stays(promotion)


def last_promotion() -> Promotion:
    """The one that is open, or else the one that was started last.

    Raises:
        NotFound: there has been none.
    """
    promotion = Promotion.objects.first()
    if promotion is None:
        raise NotFound("There has been no promotion yet.")
    return promotion


def steps_to_come(promotion: Promotion) -> list[PromotionStep]:
    """What is left to do, in order; of a stopped rollback also what it would try once more."""
    stopped = promotion.state == Promotion.State.STOPPED
    return list(promotion.steps.filter(_OPEN_STEPS | _TRIED_AGAIN if stopped else _OPEN_STEPS))


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
