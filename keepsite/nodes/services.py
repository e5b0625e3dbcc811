"""What operators want of a node, and what its agent reports."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import IntegrityError
from django.db.models import ProtectedError

from keepsite import audit, writes
from keepsite.errors import Conflict, NotFound
from keepsite.nodes.models import Node, PromotionStep
from keepsite.nodes.states import Colour, NodeState

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a node's agent knows about its node."""

    name: str
    role: str
    version: str
    address: str
    pending_migrations: int
    requests_in_flight: int
    state: NodeState


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a node is to be, and whether an operator has ever said so: "none" may be a wish too."""

    state: NodeState
    is_given: bool


def heartbeat(report: Report, *, now: datetime) -> Wish:
    """Store what a node reports; return what operators want it to be.

    A node that is not known yet is registered with the state its file holds, so that a lost table
    flips no node; a new host has no file and starts out of service.

    Raises:
        Unavailable: the database is away.
        Conflict: another agent has this name, or an operator had the node forgotten just now.
    """
    reported = {
        "role": report.role,
        "version": report.version,
        "address": report.address,
        "pending_migrations": report.pending_migrations,
        "requests_in_flight": report.requests_in_flight,
        "colour": report.state.colour,
        "is_draining": report.state.draining,
        "heartbeat_at": now,
        "lost_at": None,
        "forgotten_at": None,
    }
    rows = Node.every.filter(name=report.name)

    def store() -> None:
        if not rows.update(**reported):
            Node(
                name=report.name,
                wanted_colour=report.state.colour,
                wants_draining=report.state.draining,
                **reported,
            ).save(force_insert=True)

    try:
        writes.commit(store, committed=rows.filter(heartbeat_at=now).exists)
    except IntegrityError as error:
        raise Conflict(
            f"Another agent registered the node {report.name!r} at this moment. "
            "Give every node a KEEPSITE_NODE_NAME of its own."
        ) from error
    node = rows.first()
    if node is None:
        raise Conflict(
            f"The node {report.name!r} was forgotten at this moment; its next heartbeat registers it."
        )
    return Wish(state=node.wanted, is_given=node.wanted_at is not None)


def want(node_name: str, state: NodeState, *, actor: audit.Actor, reason: str, now: datetime) -> Node:
    """Have a node stand for ``state``; its agent follows within a heartbeat.

    Raises:
        NotFound: no such node.
        Conflict: a node without a colour was to drain.
        NotAllowed: ``actor`` is no operator.
    """
    audit.require_operator(actor)
    node = find(node_name)
    require_possible(node, state)
    put_wish(node, state, actor=actor, reason=reason, now=now)
    return node


def require_possible(node: Node, state: NodeState) -> None:
    """Return if a node may be told to be so.

    Raises:
        Conflict: a node without a colour was to drain.
    """
    if state.draining and state.colour is Colour.NONE:
        raise Conflict(f"{node.name} has no colour, so it has nothing to drain.")


def put_wish(node: Node, state: NodeState, *, actor: audit.Actor, reason: str, now: datetime) -> None:
    """Store the wish and record it; whoever calls has authorised it."""
    before, by = str(node.wanted), actor.user_id or ""
    rows = Node.objects.filter(name=node.name)
    writes.commit(
        lambda: rows.update(
            wanted_colour=state.colour, wants_draining=state.draining, wanted_by=by, wanted_at=now
        ),
        committed=rows.filter(wanted_at=now).exists,
    )
    log.info("node.state_wanted", node_name=node.name, before=before, after=str(state), by=by)
    audit.record(
        "node.state_wanted",
        actor=actor,
        subject=node,
        reason=f"{state}: {reason}" if reason else str(state),
        change=audit.Change(before={"wanted": before}, after={"wanted": str(state)}),
    )
    node.refresh_from_db()


def forget(
    node_name: str, *, actor: audit.Actor, reason: str, now: datetime, heard_within: timedelta
) -> None:
    """Take a node that is gone for good off every list; one that sends a heartbeat again is back.

    Raises:
        NotFound: no such node.
        Conflict: it still sends heartbeats, or an open promotion is about it.
    """
    audit.require_operator(actor)
    node = find(node_name)
    if node.is_heard(now=now, within=heard_within):
        raise Conflict(f"{node.name} still sends heartbeats. Stop its node agent first.")
    if PromotionStep.objects.filter(node=node, promotion__open_marker=True).exists():
        raise Conflict(f"The open promotion is about {node.name}. Roll it back, or let it end, first.")
    rows = Node.objects.filter(name=node.name)

    def store() -> None:
        try:
            rows.delete()
        except ProtectedError:  # steps of former promotions keep its row
            rows.update(forgotten_at=now, colour=Colour.NONE, wanted_colour=Colour.NONE)

    writes.commit(store, committed=lambda: not rows.exists())
    before = {
        "state": str(node.state),
        "wanted": str(node.wanted),
        "version": node.version,
        "heartbeat_at": node.heartbeat_at,
    }
    audit.record(
        "node.forgotten",
        actor=actor,
        subject=f"node:{node.name}",
        reason=reason,
        change=audit.Change(before=before),
    )


def mark_lost(*, now: datetime, silent_for: timedelta) -> list[str]:
    """Mark the nodes that sent no heartbeat for so long, each once; return their names.

    Raises:
        Unavailable: the database is away.
    """
    silent = Node.objects.filter(heartbeat_at__lt=now - silent_for, lost_at=None)
    lost = list(silent.values_list("name", flat=True))
    if lost:
        rows = Node.objects.filter(name__in=lost, lost_at=now)
        writes.commit(lambda: silent.filter(name__in=lost).update(lost_at=now), committed=rows.exists)
        lost = list(rows.values_list("name", flat=True))
    for name in lost:
        log.error("node.lost", node_name=name, silent_for_s=silent_for.total_seconds())
    return lost


def find(node_name: str) -> Node:
    """The node of that name.

    Raises:
        NotFound: there is none.
    """
    node = Node.objects.filter(name=node_name).first()
    if node is None:
        known = ", ".join(Node.objects.values_list("name", flat=True)) or "none yet"
        raise NotFound(f"There is no node {node_name!r}. Known: {known}.")
    return node
