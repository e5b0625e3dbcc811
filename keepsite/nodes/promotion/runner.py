"""Takes a promotion's steps, one at a time, from any node: whoever holds the lease."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog
from django.db.models import Q

from keepsite import audit, writes
from keepsite.identity.operators import promotion_principal
from keepsite.ids import new_id
from keepsite.nodes import services
from keepsite.nodes.limits import NodeLimits
from keepsite.nodes.models import Node, Promotion, PromotionStep
from keepsite.nodes.promotion.plan import GOALS, way_back
from keepsite.nodes.promotion.preflight import smoke
from keepsite.nodes.states import Colour

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=15)  # longer than one look at a step takes, smoke test included


class _StepFailed(Exception):
    """Why a step cannot be taken; the promotion stops and says so."""


class _NodeGone(_StepFailed):
    """Its node is silent, or somebody took it out of service; a rollback goes on without it."""


def advance(limits: NodeLimits, *, now: datetime) -> None:
    """Begin, watch or end the step whose turn it is; nothing if no promotion moves or another has the lease.

    Raises:
        Unavailable, DatabaseError: the database is away; the next call goes on.
    """
    promotion = _take_lease(now)
    if promotion is None:
        return
    if promotion.state == Promotion.State.ROLLING_BACK:
        _turn_round(promotion)
    step = promotion.steps.filter(
        state__in=[PromotionStep.State.WAITING, PromotionStep.State.RUNNING]
    ).first()
    try:
        if step is None:
            _end(promotion, now)
        elif step.state == PromotionStep.State.WAITING:
            _begin(promotion, step, limits, now)
        elif _is_reached(step, limits, now):
            _mark(step, PromotionStep.State.DONE, ended_at=now)
            log.info("promotion.step_done", promotion_id=promotion.id, act=step.act, node_name=step.node_id)
    except _StepFailed as problem:
        if step is not None and step.is_rollback and isinstance(problem, _NodeGone):
            _pass_over(promotion, step, str(problem), now)
        else:
            _stop(promotion, step, str(problem))
    finally:
        _give_lease_back(promotion)


def _turn_round(promotion: Promotion) -> None:
    """Plan the way back once; only whoever holds the lease does, so no step is under way meanwhile."""
    if promotion.steps.filter(is_rollback=True).exists():
        return
    back = way_back(promotion)
    open_steps = promotion.steps.filter(state__in=[PromotionStep.State.WAITING, PromotionStep.State.RUNNING])

    def store() -> None:
        open_steps.update(state=PromotionStep.State.DROPPED)
        PromotionStep.objects.bulk_create(back)

    writes.commit(store, committed=promotion.steps.filter(is_rollback=True).exists)


def _begin(promotion: Promotion, step: PromotionStep, limits: NodeLimits, now: datetime) -> None:
    node = Node.every.get(name=step.node_id)
    if step.is_rollback and node.wanted_colour == Colour.NONE:
        raise _NodeGone(f"{node.name} was taken out of service.")
    if step.act == PromotionStep.Act.DRAIN:
        others = serving_green(limits, now) - {node.name}
        if len(others) < limits.min_green:
            raise _StepFailed(
                f"Only {len(others)} green nodes would be left without {node.name}; "
                f"at least {limits.min_green} must stay."
            )
    if not node.is_heard(now=now, within=limits.heard_within):
        raise _NodeGone(f"{node.name} has sent no heartbeat since {node.heartbeat_at:%H:%M:%S} UTC.")
    if step.act == PromotionStep.Act.TO_GREEN and node.colour == Colour.BLUE:
        check = smoke(node)
        if not check.holds:
            raise _StepFailed(f"Not so: {check.name} ({check.seen}).")
    _tell(promotion, step, node, now)
    _mark(step, PromotionStep.State.RUNNING, started_at=now)


def _tell(promotion: Promotion, step: PromotionStep, node: Node, now: datetime) -> None:
    actor, goal = promotion_principal(promotion.started_by), GOALS[PromotionStep.Act(step.act)]
    services.put_wish(node, goal, actor=actor, reason=str(promotion), now=now)


def _pass_over(promotion: Promotion, step: PromotionStep, problem: str, now: datetime) -> None:
    """Go on without a node that is gone, so that a dead node keeps nobody from rolling back.

    One that is silent and was to leave the green ones is told so all the same, for the moment it is heard
    again.  One that was to turn green stays as it is: nobody has looked whether it can serve.
    """
    node = Node.every.get(name=step.node_id)
    before = {"step": step.state, "wanted": str(node.wanted)}
    if step.act != PromotionStep.Act.TO_GREEN and node.wanted_colour != Colour.NONE:
        _tell(promotion, step, node, now)
    _mark(step, PromotionStep.State.DROPPED, started_at=step.started_at or now, ended_at=now)
    log.warning("promotion.step_passed_over", promotion_id=promotion.id, step=str(step), problem=problem)
    audit.record(
        "promotion.step_passed_over",
        actor=promotion_principal(promotion.started_by),
        subject=promotion,
        reason=f"{step}: {problem}",
        change=audit.Change(
            before=before,
            after={"step": PromotionStep.State.DROPPED.value, "wanted": str(node.wanted)},
        ),
    )


def _is_reached(step: PromotionStep, limits: NodeLimits, now: datetime) -> bool:
    """Whether the node is what the step wants, and has been for long enough.

    Raises:
        _StepFailed: it took too long, or the node went silent.
    """
    node = Node.every.get(name=step.node_id)
    started_at = step.started_at or now
    if not node.is_heard(now=now, within=limits.heard_within):
        raise _NodeGone(f"{node.name} went silent at {node.heartbeat_at:%H:%M:%S} UTC.")
    if node.state != GOALS[PromotionStep.Act(step.act)] or node.heartbeat_at <= started_at:
        if now - started_at > limits.step:
            raise _StepFailed(f"{node.name} is still {node.state} after {limits.step.total_seconds():g} s.")
        return False
    if step.act == PromotionStep.Act.DRAIN:
        if not node.requests_in_flight:
            return True
        if now - started_at > limits.drain:
            raise _StepFailed(
                f"{node.name} still has {node.requests_in_flight} requests under way after "
                f"{limits.drain.total_seconds():g} s of draining."
            )
        return False
    if step.act == PromotionStep.Act.TO_GREEN:
        if now - started_at < limits.settle:
            return False
        check = smoke(node)
        if not check.holds:
            raise _StepFailed(f"After it turned green, not so: {check.name} ({check.seen}).")
    return True


def serving_green(limits: NodeLimits, now: datetime) -> set[str]:
    """Names of the API nodes that carry the traffic, and are to go on doing so."""
    serving = Node.objects.filter(
        role=Node.Role.API,
        colour=Colour.GREEN,
        is_draining=False,
        wanted_colour=Colour.GREEN,
        wants_draining=False,
        heartbeat_at__gte=now - limits.heard_within,
    )
    return set(serving.values_list("name", flat=True))


def _take_lease(now: datetime) -> Promotion | None:
    moving = Promotion.objects.filter(state__in=[Promotion.State.RUNNING, Promotion.State.ROLLING_BACK])
    if not moving.exists():
        return None
    name = new_id()
    free = moving.filter(Q(lease_until=None) | Q(lease_until__lt=now))
    mine = Promotion.objects.filter(lease_by=name)
    writes.commit(lambda: free.update(lease_by=name, lease_until=now + LEASE), committed=mine.exists)
    return mine.first()


def _give_lease_back(promotion: Promotion) -> None:
    rows = Promotion.objects.filter(id=promotion.id, lease_by=promotion.lease_by)
    writes.commit(lambda: rows.update(lease_until=None), committed=rows.filter(lease_until=None).exists)


def _mark(step: PromotionStep, state: PromotionStep.State, **moments: datetime) -> None:
    rows = PromotionStep.objects.filter(id=step.id)
    writes.commit(lambda: rows.update(state=state, **moments), committed=rows.filter(state=state).exists)


def _stop(promotion: Promotion, step: PromotionStep | None, problem: str) -> None:
    rows = Promotion.objects.filter(id=promotion.id)
    still = rows.filter(state=promotion.state)  # an operator may have turned it round meanwhile
    stopped = rows.filter(state=Promotion.State.STOPPED)
    writes.commit(
        lambda: still.update(state=Promotion.State.STOPPED, problem=problem[:255]), committed=stopped.exists
    )
    if not stopped.exists():
        return
    log.error("promotion.stopped", promotion_id=promotion.id, problem=problem, step=str(step))
    after = {"state": Promotion.State.STOPPED.value, "step": str(step)}
    _record("promotion.stopped", promotion, after=after, reason=problem)


def _end(promotion: Promotion, now: datetime) -> None:
    rolled_back = promotion.state == Promotion.State.ROLLING_BACK
    state = Promotion.State.ROLLED_BACK if rolled_back else Promotion.State.DONE
    rows = Promotion.objects.filter(id=promotion.id)
    still, ended = rows.filter(state=promotion.state), rows.filter(state=state)
    writes.commit(lambda: still.update(state=state, open_marker=None, ended_at=now), committed=ended.exists)
    if not ended.exists():
        return
    log.info("promotion.ended", promotion_id=promotion.id, state=str(state))
    _record("promotion.ended", promotion, after={"state": state.value, "ended_at": now})


def _record(action: str, promotion: Promotion, *, after: Mapping[str, object], reason: str = "") -> None:
    """What became of it, in the name of whoever started it; ``promotion`` is as it was before."""
    audit.record(
        action,
        actor=promotion_principal(promotion.started_by),
        subject=promotion,
        reason=reason,
        change=audit.Change(before={"state": str(promotion.state)}, after=after),
    )
