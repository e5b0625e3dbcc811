"""What the agent tells whoever asks it over HTTP, from the state file alone."""

from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from keepsite.nodes import state_file
from keepsite.nodes.agent.plight import PlightAnswers
from keepsite.nodes.states import Colour

POOLS = {"/": "", "/green": Colour.GREEN, "/blue": Colour.BLUE}


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer; plight's clients read the reason phrase, all others the body."""

    status: int
    reason: str
    body: str


def answer(path: str, *, state_path: Path, plight: PlightAnswers | None) -> Answer:
    """The answer for one of ``POOLS``; with ``plight`` every other path, ``/`` too, gets plight's."""
    state = state_file.read(state_path)
    pool = POOLS.get(path.partition("?")[0].rstrip("/") or "/")
    if plight is not None and not pool:
        told = plight.of(state)
        return Answer(told.code, told.message, "")
    if pool is None:
        return Answer(
            HTTPStatus.BAD_REQUEST, HTTPStatus.BAD_REQUEST.phrase, "ask for one of /, /green and /blue"
        )
    status = state.answer(pool)
    return Answer(status, status.phrase, str(state))
