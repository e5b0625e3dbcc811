"""States of nodes, of promotions and of their steps, as the console says them."""

from collections.abc import Iterable
from datetime import datetime

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from keepsite.nodes.limits import NodeLimits
from keepsite.nodes.models import Node, Promotion, PromotionStep
from keepsite.nodes.states import Colour, NodeState
from keepsite.readonly import Tone, pill
from keepsite.translation import gettext_lazy

ROLE_WORDS: dict[str, str] = {Node.Role.API: gettext_lazy("API"), Node.Role.WORKER: gettext_lazy("worker")}
COLOUR_WORDS = {
    Colour.GREEN: gettext_lazy("green"),
    Colour.BLUE: gettext_lazy("blue"),
    Colour.NONE: gettext_lazy("no colour"),
}
PROMOTION_STATES: dict[str, tuple[str, Tone]] = {
    Promotion.State.RUNNING: (gettext_lazy("Running"), Tone.WAITING),
    Promotion.State.STOPPED: (gettext_lazy("Stopped"), Tone.BAD),
    Promotion.State.ROLLING_BACK: (gettext_lazy("Rolling back"), Tone.WARNING),
    Promotion.State.DONE: (gettext_lazy("Done"), Tone.GOOD),
    Promotion.State.ROLLED_BACK: (gettext_lazy("Rolled back"), Tone.QUIET),
}
STEP_STATES: dict[str, tuple[str, Tone]] = {
    PromotionStep.State.WAITING: (gettext_lazy("To come"), Tone.QUIET),
    PromotionStep.State.RUNNING: (gettext_lazy("Under way"), Tone.WAITING),
    PromotionStep.State.DONE: (gettext_lazy("Done"), Tone.GOOD),
    PromotionStep.State.DROPPED: (gettext_lazy("Dropped"), Tone.QUIET),
}
_STEP_WORDS: dict[str, str] = {
    PromotionStep.Act.TO_GREEN: gettext_lazy("{} turns green"),
    PromotionStep.Act.DRAIN: gettext_lazy("{} drains"),
    PromotionStep.Act.TO_BLUE: gettext_lazy("{} turns blue"),
}


def state_words(state: NodeState) -> str:
    """A state of a node as a part of a sentence: "green, draining"."""
    if state.colour is Colour.NONE:
        return _("out of service")
    colour = COLOUR_WORDS[state.colour]
    return _("%(colour)s, draining") % {"colour": colour} if state.draining else str(colour)


def node_pill(node: Node, *, now: datetime, limits: NodeLimits) -> SafeString:
    """How a node does, in a word: whether it is heard at all comes first."""
    if node.lost_at is not None:
        return pill(_("Lost"), Tone.BAD)
    if not node.is_heard(now=now, within=limits.heard_within):
        return pill(_("Silent"), Tone.WARNING)
    if node.is_draining:
        return pill(_("Draining"), Tone.WAITING)
    return pill(_("Up"), Tone.GOOD) if node.colour != Colour.NONE else pill(_("Out of service"), Tone.QUIET)


def step_pill(step: PromotionStep) -> SafeString:
    """How a step stands; a rollback goes on without those of nodes that are gone."""
    return pill(_("Passed over"), Tone.WARNING) if step.is_passed_over else pill(*STEP_STATES[step.state])


def promotion_pill(promotion: Promotion) -> SafeString:
    """Where it stands."""
    return pill(*PROMOTION_STATES[promotion.state])


def step_words(step: PromotionStep) -> str:
    """What a step does: "api3 turns green"."""
    return _STEP_WORDS[step.act].format(step.node_id)


def names(nodes: Iterable[Node]) -> str:
    """Nodes by name, in one line."""
    return ", ".join(node.name for node in nodes) or _("none")
