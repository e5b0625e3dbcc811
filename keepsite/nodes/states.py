"""What a node may stand for, and what it tells a balancer that asks."""

from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus


class Colour(StrEnum):
    """The set of nodes that a node belongs to; the green one carries the traffic."""

    GREEN = "green"
    BLUE = "blue"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class NodeState:
    """A colour, and whether the node is giving its work away (draining)."""

    colour: Colour
    draining: bool = False

    def __str__(self) -> str:
        if self.colour is Colour.NONE:
            return "none down"
        return f"{self.colour} {'drain' if self.draining else 'up'}"

    @classmethod
    def parse(cls, text: str) -> "NodeState":
        """Read what ``str`` wrote; anything else is ``DOWN``, so that damage never puts a node in service."""
        return _BY_TEXT.get(text, DOWN)

    def answer(self, pool: str) -> HTTPStatus:
        """The status for a balancer that fills ``pool``: a colour, or empty for any.

        404 while draining on purpose: haproxy's ``http-check disable-on-404`` then lets requests
        under way finish, while 503 means out of service.
        """
        if self.colour is Colour.NONE or pool not in {"", self.colour}:
            return HTTPStatus.SERVICE_UNAVAILABLE
        return HTTPStatus.NOT_FOUND if self.draining else HTTPStatus.OK


DOWN = NodeState(Colour.NONE)
ALL_STATES = (
    *(NodeState(colour, draining) for colour in (Colour.GREEN, Colour.BLUE) for draining in (False, True)),
    DOWN,
)
_BY_TEXT = {str(state): state for state in ALL_STATES}
