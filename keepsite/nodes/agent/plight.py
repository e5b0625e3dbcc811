"""Answers in plight's words, for balancers whose checks were written for it.

plight, the node state daemon of Barbican deployments at Rackspace, keeps its states in an
INI file: ``[priorities] states=`` names them, a section each gives ``code`` and ``message``.
"""

from configparser import ConfigParser
from configparser import Error as BadFile
from dataclasses import dataclass
from pathlib import Path

from keepsite.nodes.states import Colour, NodeState


class PlightConfigInvalid(ValueError):
    """The file cannot be used; the message names it and what is wrong."""


@dataclass(frozen=True, slots=True)
class Told:
    """What plight answers in one of its states: a status and the words beside it."""

    code: int
    message: str


@dataclass(frozen=True, slots=True)
class PlightAnswers:
    """plight's answer for each state of ours.

    A state of the file that is named after our colour (``green``, ``blue``) goes before
    ``enabled``; ``disabled`` is told while draining, ``offline`` otherwise.
    """

    states: dict[str, Told]

    def of(self, state: NodeState) -> Told:
        """The answer while the node is in ``state``."""
        if state.colour is Colour.NONE:
            return self.states["offline"]
        if state.draining:
            return self.states["disabled"]
        return self.states.get(state.colour) or self.states["enabled"]


def load(path: Path) -> PlightAnswers:
    """Read a plight configuration.

    Raises:
        PlightConfigInvalid: it is missing, no INI file, or lacks a state, a code or a message.
    """
    parser = ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text())
        names = [name.strip() for name in parser["priorities"]["states"].split(",") if name.strip()]
        states = {name: Told(parser.getint(name, "code"), parser[name]["message"]) for name in names}
    except (OSError, BadFile, KeyError, ValueError) as error:
        raise PlightConfigInvalid(f"{path}: {error}") from error
    missing = {"enabled", "disabled", "offline"} - {*states}
    if missing:
        raise PlightConfigInvalid(f"{path}: [priorities] states lacks {', '.join(sorted(missing))}")
    return PlightAnswers(states)
