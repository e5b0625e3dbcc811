"""Answers in plight's words, for balancers whose checks were written for it.

plight, the node state daemon of Barbican deployments at Rackspace, keeps its states in an
INI file: ``[priorities] states=`` names them, a section each gives ``code`` and ``message``, and
the marker ``file`` that switches it on.  The one without a file is the default.
"""

from configparser import ConfigParser
from configparser import Error as BadFile
from dataclasses import dataclass
from http import HTTPStatus
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
    ``enabled``; ``disabled`` is told while draining, ``offline`` otherwise.  States of other names
    are never told, nor is plight's default without a reason: a node whose state is not known is offline.
    """

    states: dict[str, Told]

    def of(self, state: NodeState) -> Told:
        """The answer while the node is in ``state``."""
        if state.colour is Colour.NONE:
            return self.states["offline"]
        if state.draining:
            return self.states["disabled"]
        return self.states.get(state.colour) or self.states["enabled"]


# Source: plight's STATES, for files that name neither
_AWAY = {
    "disabled": Told(HTTPStatus.NOT_FOUND, "node is unavailable"),
    "offline": Told(HTTPStatus.SERVICE_UNAVAILABLE, "node is offline"),
}


def load(path: Path) -> PlightAnswers:
    """Read a plight configuration; what it does not say of ``disabled`` and ``offline`` is as in plight.

    Raises:
        PlightConfigInvalid: plight would not start with it: it is missing, no INI file, a state
            lacks its section, code or message, or not exactly one has no file.  Or it has neither
            ``enabled`` nor a state for each colour, so nothing could be told of a node that is up.
    """
    parser = ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text())
        names = [name.strip() for name in parser["priorities"]["states"].split(",") if name.strip()]
        states = {name: Told(parser.getint(name, "code"), parser[name]["message"]) for name in names}
    except (OSError, BadFile, KeyError, ValueError) as error:
        raise PlightConfigInvalid(f"{path}: {error}") from error
    defaults = [name for name in states if not parser.has_option(name, "file")]
    if len(defaults) != 1:
        raise PlightConfigInvalid(
            f"{path}: exactly one state has no file, the default; here: {', '.join(defaults) or 'none'}"
        )
    unsaid = {Colour.GREEN.value, Colour.BLUE.value} - {*states}
    if unsaid and "enabled" not in states:
        raise PlightConfigInvalid(
            f"{path}: [priorities] states lacks enabled, or {' and '.join(sorted(unsaid))}"
        )
    return PlightAnswers(_AWAY | states)
