"""What operators do with one node."""

from abc import abstractmethod
from datetime import datetime
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from keepsite import audit
from keepsite.acts import Act, Outcome, ReasonForm
from keepsite.acts.act import Rows
from keepsite.nodes import services
from keepsite.nodes.console.words import ROLE_WORDS, names, node_pill, state_words
from keepsite.nodes.limits import NodeLimits
from keepsite.nodes.models import Node, Promotion
from keepsite.nodes.promotion.runner import serving_green
from keepsite.nodes.states import DOWN, Colour, NodeState
from keepsite.readonly import Fact, Tone, pill, text
from keepsite.translation import gettext_lazy

STEER = "nodes.steer_node"


class ColourForm(ReasonForm):
    """Which pool."""

    colour = forms.ChoiceField(
        label=gettext_lazy("Colour"),
        choices=[
            (Colour.GREEN.value, gettext_lazy("green: carries the traffic")),
            (Colour.BLUE.value, gettext_lazy("blue: waits")),
        ],
    )
    field_order = ("colour", *ReasonForm.field_order)


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
            Fact(
                label=_("Node"),
                value=node.name,
                note=_("%(role)s, version %(version)s")
                % {"role": ROLE_WORDS[node.role], "version": node.version},
            ),
            Fact(
                label=_("Is"),
                value=node_pill(node, now=now, limits=limits),
                note=_is_and_should(node),
            ),
            Fact(
                label=_("Under way"),
                value=text(node.requests_in_flight),
                note=_("requests at its last heartbeat"),
            ),
            Fact(
                label=_("Other green nodes in service"),
                value=_many(len(others), limits.min_green),
                note=", ".join(others),
            ),
            *((_open_promotion(),) if about else ()),
        )

    def perform(self, rows: Rows, *, actor: audit.Actor, wanted: dict[str, Any]) -> Outcome:  # Any: a form
        """Durable on return."""
        (node,) = rows
        state = self.state_for(node, wanted)
        services.want(node.name, state, actor=actor, reason=wanted["reason"], now=timezone.now())
        return Outcome(
            done=_("%(name)s is to be %(state)s; it follows within seconds.")
            % {"name": node.name, "state": state_words(state)}
        )

    @abstractmethod
    def state_for(self, node: Node, wanted: dict[str, Any]) -> NodeState:  # Any: a form
        """What it is to be."""


class Drain(SteerNode):
    """Give its work away, losing none."""

    name = "drain"
    label = gettext_lazy("Drain")

    def applies_to(self, row: Node, *, now: datetime) -> bool:  # noqa: ARG002  # the row says it
        """It is in a pool."""
        return row.wanted_colour != Colour.NONE and not row.wants_draining

    def title(self, rows: Rows) -> str:
        """What the page asks."""
        return _("Drain %(row)s") % {"row": rows[0]}

    def lead(self, rows: Rows) -> str:  # noqa: ARG002  # the same for all
        """What that means."""
        return _(
            "Balancers send it nothing new, and its workers take no further message; what is under way is"
            " finished. It keeps its colour, and comes back with Undrain."
        )

    def state_for(self, node: Node, wanted: dict[str, Any]) -> NodeState:  # noqa: ARG002  # Any: a form
        """Its colour, draining."""
        return NodeState(node.wanted.colour, draining=True)


class Undrain(SteerNode):
    """Take work again."""

    name = "undrain"
    label = gettext_lazy("Undrain")

    def applies_to(self, row: Node, *, now: datetime) -> bool:  # noqa: ARG002  # the row says it
        """It drains."""
        return row.wants_draining

    def title(self, rows: Rows) -> str:
        """What the page asks."""
        return _("Undrain %(row)s") % {"row": rows[0]}

    def lead(self, rows: Rows) -> str:
        """What that means."""
        return (
            _("It takes new requests and messages again, as a %(colour)s node.")
            % {"colour": rows[0].wanted.colour}
            if rows
            else ""
        )

    def state_for(self, node: Node, wanted: dict[str, Any]) -> NodeState:  # noqa: ARG002  # Any: a form
        """Its colour, up."""
        return NodeState(node.wanted.colour)


class SetColour(SteerNode):
    """Put it into a pool."""

    name = "colour"
    label = gettext_lazy("Set colour")
    tone = Tone.BAD
    is_destructive = True
    form_class = ColourForm

    def title(self, rows: Rows) -> str:
        """What the page asks."""
        return _("Set the colour of %(row)s") % {"row": rows[0]}

    def lead(self, rows: Rows) -> str:  # noqa: ARG002  # the same for all
        """What that means."""
        return _(
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
    label = gettext_lazy("Take offline")
    tone = Tone.BAD
    is_destructive = True

    def applies_to(self, row: Node, *, now: datetime) -> bool:  # noqa: ARG002  # the row says it
        """It is not to be so already."""
        return row.wanted_colour != Colour.NONE

    def title(self, rows: Rows) -> str:
        """What the page asks."""
        return _("Take %(row)s offline") % {"row": rows[0]}

    def lead(self, rows: Rows) -> str:  # noqa: ARG002  # the same for all
        """What that means."""
        return _(
            "It leaves its pool at once, and requests under way may be cut off: drain it first. Its workers"
            " rest. It stays so until somebody sets a colour."
        )

    def state_for(self, node: Node, wanted: dict[str, Any]) -> NodeState:  # noqa: ARG002  # Any: a form
        """None."""
        return DOWN


class Forget(Act):
    """Take a host that is gone off the list."""

    name = "forget"
    label = gettext_lazy("Forget")
    permission = "nodes.forget_node"
    tone = Tone.BAD
    is_destructive = True

    def applies_to(self, row: Node, *, now: datetime) -> bool:
        """It is not heard any more."""
        return not row.is_heard(now=now, within=NodeLimits.from_settings().heard_within)

    def title(self, rows: Rows) -> str:
        """What the page asks."""
        return _("Forget %(row)s") % {"row": rows[0]}

    def lead(self, rows: Rows) -> str:  # noqa: ARG002  # the same for all
        """What that means."""
        return _("For a host that is gone for good. Should its agent send a heartbeat again, it is back.")

    def perform(self, rows: Rows, *, actor: audit.Actor, wanted: dict[str, Any]) -> Outcome:  # Any: a form
        """Durable on return."""
        services.forget(
            rows[0].name,
            actor=actor,
            reason=wanted["reason"],
            now=timezone.now(),
            heard_within=NodeLimits.from_settings().heard_within,
        )
        return Outcome(done=_("%(names)s is forgotten.") % {"names": names(rows)})


def _open_promotion() -> Fact:
    return Fact(
        label=_("Open promotion"),
        value=pill(_("Under way"), Tone.WARNING),
        note=_("It sets colours too: let it end, or roll it back, first."),
    )


def _is_and_should(node: Node) -> str:
    if node.state == node.wanted:
        return state_words(node.state)
    return _("%(state)s, and is to be %(wanted)s") % {
        "state": state_words(node.state),
        "wanted": state_words(node.wanted),
    }


def _many(others: int, min_green: int) -> SafeString | str:
    if others >= min_green:
        return text(others)
    return format_html(
        _("{others}, fewer than the {least} that should stay {warning}"),
        others=others,
        least=min_green,
        warning=pill(_("Too few"), Tone.WARNING),
    )
