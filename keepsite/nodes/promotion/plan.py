"""The steps of a promotion and of its way back."""

from collections.abc import Iterable

from keepsite.nodes.models import Node, Promotion, PromotionStep
from keepsite.nodes.states import Colour, NodeState

Act, State = PromotionStep.Act, PromotionStep.State
GOALS = {
    Act.TO_GREEN: NodeState(Colour.GREEN),
    Act.DRAIN: NodeState(Colour.GREEN, draining=True),
    Act.TO_BLUE: NodeState(Colour.BLUE),
}


def demotion_of(nodes: Iterable[Node]) -> list[tuple[Node, PromotionStep.Act]]:
    """What takes green nodes out of service without losing a request, node by node."""
    return [(node, act) for node in nodes for act in (Act.DRAIN, Act.TO_BLUE)]


def way_back(promotion: Promotion) -> list[PromotionStep]:
    """Steps that give every node touched so far its old colour: first the old green ones serve again.

    Nodes that somebody took out of service meanwhile stay out of it.
    """
    steps = list(promotion.steps.select_related("node"))
    taken = [
        step
        for step in steps
        if step.state in {State.DONE, State.RUNNING} and step.node.wanted_colour != Colour.NONE
    ]
    made_green = [step.node for step in reversed(taken) if step.act == Act.TO_GREEN]
    demoted = list({step.node_id: step.node for step in reversed(taken) if step.act != Act.TO_GREEN}.values())
    back = [(node, Act.TO_GREEN) for node in demoted] + demotion_of(made_green)
    return steps_of(promotion, back, first=len(steps), is_rollback=True)


def steps_of(
    promotion: Promotion,
    acts: Iterable[tuple[Node, PromotionStep.Act]],
    *,
    first: int,
    is_rollback: bool = False,
) -> list[PromotionStep]:
    """Rows for these acts, in this order, from position ``first`` on; nothing is written."""
    return [
        PromotionStep(
            promotion=promotion, position=first + offset, node=node, act=act, is_rollback=is_rollback
        )
        for offset, (node, act) in enumerate(acts)
    ]
