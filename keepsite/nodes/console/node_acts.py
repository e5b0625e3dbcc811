"""What operators do with one node."""

from datetime import datetime
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from keepsite import audit
from keepsite.acts import Act, Outcome, ReasonForm
from keepsite.acts.act import Rows
from keepsite.nodes import services
from keepsite.nodes.console.words import names, node_pill, state_words
from keepsite.nodes.limits import NodeLimits
from keepsite.nodes.models import Node, Promotion
from keepsite.nodes.promotion.runner import serving_green
from keepsite.nodes.states import DOWN, Colour, NodeState
from keepsite.readonly import Fact, Tone, pill, text

STEER = "nodes.steer_node"


class ColourForm(ReasonForm):
    """Which pool."""

    colour = forms.ChoiceField(
        label="Colour",
        choices=[(Colour.GREEN.value, "green: carries the traffic"), (Colour.BLUE.value, "blue: waits")],
    )
    field_order = ("colour", "reason", "password")


class SteerNode(Act):
    """Have a node stand for something else; its agent follows within a heartbeat."""

    permission = STEER

    def facts(self, rows: Rows) -> tuple[Fact, ...]:
        """How it is, and how many green nodes are in service with it."""
        if not rows:
            return ()
        (node,) = rows
        now, limits = timezone.now(), NodeLimits.from_settings()
        green = sorted(serving_green(limits, now))
        others = [name for name in green if name != node.name]
        about = Promotion.objects.filter(open_marker=True).exists()
        return (
            Fact(label="Node", value=node.name, note=f"{node.get_role_display()}, version {node.version}"),
            Fact(
                label="Is",
                value=node_pill(node, now=now, limits=limits),
                note=_is_and_should(node),
            ),
            Fact(
                label="Under way", value=text(node.requests_in_flight), note="requests at its last heartbeat"
            ),
            Fact(
                label="Other green nodes in service",
                value=_many(len(others), limits.min_green),
                note=", ".join(others),
            ),
            *((_OPEN_PROMOTION,) if about else ()),
        )

    def perform(self, rows: Rows, *, actor: audit.Actor, wanted: dict[str, Any]) -> Outcome:  # Any: a form
        """Durable on return."""
        (node,) = rows
        state = self.state_for(node, wanted)
        services.want(node.name, state, actor=actor, reason=wanted["reason"], now=timezone.now())
        return Outcome(done=f"{node.name} is to be {state_words(state)}; it follows within seconds.")

    def state_for(self, node: Node, wanted: dict[str, Any]) -> NodeState:  # Any: a form
        """What it is to be."""
        raise NotImplementedError


class Drain(SteerNode):
    """Give its work away, losing none."""

    name = "drain"
    label = "Drain"

    def applies_to(self, row: Node, *, now: datetime) -> bool:  # noqa: ARG002  # the row says it
        """It is in a pool."""
        return row.wanted_colour != Colour.NONE and not row.wants_draining

    def title(self, rows: Rows) -> str:
        """What the page asks."""
        return f"Drain {rows[0]}"

    def lead(self, rows: Rows) -> str:  # noqa: ARG002  # the same for all
        """What that means."""
        return (
            "Balancers send it nothing new, and its workers take no further message; what is under way is"
            " finished. It keeps its colour, and comes back with Undrain."
        )

    def state_for(self, node: Node, wanted: dict[str, Any]) -> NodeState:  # noqa: ARG002  # Any: a form
        """Its colour, draining."""
        return NodeState(node.wanted.colour, draining=True)


class Undrain(SteerNode):
    """Take work again."""

    name = "undrain"
    label = "Undrain"

    def applies_to(self, row: Node, *, now: datetime) -> bool:  # noqa: ARG002  # the row says it
        """It drains."""
        return row.wants_draining

    def title(self, rows: Rows) -> str:
        """What the page asks."""
        return f"Undrain {rows[0]}"

    def lead(self, rows: Rows) -> str:
        """What that means."""
        return f"It takes new requests and messages again, as a {rows[0].wanted.colour} node." if rows else ""

    def state_for(self, node: Node, wanted: dict[str, Any]) -> NodeState:  # noqa: ARG002  # Any: a form
        """Its colour, up."""
        return NodeState(node.wanted.colour)


class SetColour(SteerNode):
    """Put it into a pool."""

    name = "colour"
    label = "Set colour"
    form_class = ColourForm

    def title(self, rows: Rows) -> str:
        """What the page asks."""
        return f"Set the colour of {rows[0]}"

    def lead(self, rows: Rows) -> str:  # noqa: ARG002  # the same for all
        """What that means."""
        return (
            "It leaves its pool at once and serves the other. Drain it first, so that no request is cut off;"
            " to exchange a whole release, promote instead."
        )

    def initial(self, rows: Rows) -> dict[str, Any]:  # Any: a form
        """The other one than it has; of a node that has none the one that carries no traffic."""
        return {"colour": Colour.GREEN if rows[0].wanted_colour == Colour.BLUE else Colour.BLUE}

    def state_for(self, node: Node, wanted: dict[str, Any]) -> NodeState:  # noqa: ARG002  # Any: a form
        """As chosen, up."""
        return NodeState(Colour(wanted["colour"]))


class TakeOffline(SteerNode):
    """Out of every pool, at once."""

    name = "offline"
    label = "Take offline"
    tone = Tone.BAD
    is_destructive = True

    def applies_to(self, row: Node, *, now: datetime) -> bool:  # noqa: ARG002  # the row says it
        """It is not to be so already."""
        return row.wanted_colour != Colour.NONE

    def title(self, rows: Rows) -> str:
        """What the page asks."""
        return f"Take {rows[0]} offline"

    def lead(self, rows: Rows) -> str:  # noqa: ARG002  # the same for all
        """What that means."""
        return (
            "It leaves its pool at once, and requests under way may be cut off: drain it first. Its workers"
            " rest. It stays so until somebody sets a colour."
        )

    def state_for(self, node: Node, wanted: dict[str, Any]) -> NodeState:  # noqa: ARG002  # Any: a form
        """None."""
        return DOWN


class Forget(Act):
    """Take a host that is gone off the list."""

    name = "forget"
    label = "Forget"
    permission = "nodes.forget_node"
    tone = Tone.BAD
    is_destructive = True

    def applies_to(self, row: Node, *, now: datetime) -> bool:
        """It is not heard any more."""
        return not row.is_heard(now=now, within=NodeLimits.from_settings().heard_within)

    def title(self, rows: Rows) -> str:
        """What the page asks."""
        return f"Forget {rows[0]}"

    def lead(self, rows: Rows) -> str:  # noqa: ARG002  # the same for all
        """What that means."""
        return "For a host that is gone for good. Should its agent send a heartbeat again, it is back."

    def perform(self, rows: Rows, *, actor: audit.Actor, wanted: dict[str, Any]) -> Outcome:  # Any: a form
        """Durable on return."""
        services.forget(
            rows[0].name,
            actor=actor,
            reason=wanted["reason"],
            now=timezone.now(),
            heard_within=NodeLimits.from_settings().heard_within,
        )
        return Outcome(done=f"{names(rows)} is forgotten.")


_OPEN_PROMOTION = Fact(
    label="Open promotion",
    value=pill("Under way", Tone.WARNING),
    note="It sets colours too: let it end, or roll it back, first.",
)


def _is_and_should(node: Node) -> str:
    if node.state == node.wanted:
        return state_words(node.state)
    return f"{state_words(node.state)}, and is to be {state_words(node.wanted)}"


def _many(others: int, min_green: int) -> SafeString | str:
    if others >= min_green:
        return text(others)
    warning = pill("Too few", Tone.WARNING)
    return format_html("{}, fewer than the {} that should stay {}", others, min_green, warning)
