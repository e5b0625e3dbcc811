"""States of nodes, of promotions and of their steps, as the console says them."""

from collections.abc import Iterable
from datetime import datetime

from django.utils.safestring import SafeString

from keepsite.nodes.limits import NodeLimits
from keepsite.nodes.models import Node, Promotion, PromotionStep
from keepsite.nodes.states import Colour, NodeState
from keepsite.readonly import Tone, pill

COLOUR_WORDS = {Colour.GREEN: "green", Colour.BLUE: "blue", Colour.NONE: "no colour"}
PROMOTION_STATES: dict[str, tuple[str, Tone]] = {
    Promotion.State.RUNNING: ("Running", Tone.WAITING),
    Promotion.State.STOPPED: ("Stopped", Tone.BAD),
    Promotion.State.ROLLING_BACK: ("Rolling back", Tone.WARNING),
    Promotion.State.DONE: ("Done", Tone.GOOD),
    Promotion.State.ROLLED_BACK: ("Rolled back", Tone.QUIET),
}
STEP_STATES: dict[str, tuple[str, Tone]] = {
    PromotionStep.State.WAITING: ("To come", Tone.QUIET),
    PromotionStep.State.RUNNING: ("Under way", Tone.WAITING),
    PromotionStep.State.DONE: ("Done", Tone.GOOD),
    PromotionStep.State.DROPPED: ("Dropped", Tone.QUIET),
}
_STEP_WORDS: dict[str, str] = {
    PromotionStep.Act.TO_GREEN: "{} turns green",
    PromotionStep.Act.DRAIN: "{} drains",
    PromotionStep.Act.TO_BLUE: "{} turns blue",
}


def state_words(state: NodeState) -> str:
    """A state of a node as a part of a sentence: "green, draining"."""
    if state.colour is Colour.NONE:
        return "out of service"
    return f"{COLOUR_WORDS[state.colour]}{', draining' if state.draining else ''}"


def node_pill(node: Node, *, now: datetime, limits: NodeLimits) -> SafeString:
    """How a node does, in a word: whether it is heard at all comes first."""
    if node.lost_at is not None:
        return pill("Lost", Tone.BAD)
    if not node.is_heard(now=now, within=limits.heard_within):
        return pill("Silent", Tone.WARNING)
    if node.is_draining:
        return pill("Draining", Tone.WAITING)
    return pill("Up", Tone.GOOD) if node.colour != Colour.NONE else pill("Out of service", Tone.QUIET)


def promotion_pill(promotion: Promotion) -> SafeString:
    """Where it stands."""
    return pill(*PROMOTION_STATES[promotion.state])


def step_words(step: PromotionStep) -> str:
    """What a step does: "api3 turns green"."""
    return _STEP_WORDS[step.act].format(step.node_id)


def names(nodes: Iterable[Node]) -> str:
    """Nodes by name, in one line."""
    return ", ".join(node.name for node in nodes) or "none"
