"""Where two answers to the same request differ, in what a client could notice."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.compare.answers import Answer, kind_of, neutral, neutral_headers
from tests.compare.steps import Step

ERROR_KEYS = {"code", "title", "description"}
# Words for people: whether there are any is compared, not which; but what clients search for must be there.
PROSE = {"description", "error_reason", "message"}
SEARCHED_FOR = ("Secret cannot be deleted as it has consumers.",)
UNORDERED = {"users"}  # of an ACL
TOO_LONG = 300


@dataclass(frozen=True, slots=True)
class Difference:
    """One place: ``status``, ``header location``, ``body secrets.0.name``."""

    where: str
    barbican: object
    keepsite: object

    def __str__(self) -> str:
        return f"{self.where}: {_short(self.barbican)} | {_short(self.keepsite)}"


class Absent:
    """There is nothing at this place on this side."""

    def __repr__(self) -> str:
        return "(absent)"


ABSENT = Absent()


@dataclass(frozen=True, slots=True)
class Seen:
    """An answer of one side, and what that side calls its host and ids."""

    answer: Answer
    names: Mapping[str, str]


def differences(step: Step, barbican: Seen, keepsite: Seen) -> list[Difference]:
    """Every difference; of two statuses only that, since the rest follows from it."""
    theirs, ours = barbican.answer, keepsite.answer
    if theirs.status != ours.status:
        return [Difference("status", theirs.status, ours.status)]
    return [*_in_headers(barbican, keepsite), *_in_bodies(step, barbican, keepsite)]


def ill_formed(answer: Answer) -> list[Difference]:
    """What is wrong with an error of ours, whatever Barbican answered."""
    if answer.status < 400 or not answer.is_json:
        return []
    body = answer.json
    if not isinstance(body, dict) or not body.keys() >= ERROR_KEYS or body["code"] != answer.status:
        return [Difference("body", "an error with code, title, description", body)]
    return []


def _in_headers(barbican: Seen, keepsite: Seen) -> Iterator[Difference]:
    theirs = neutral_headers(barbican.answer, barbican.names)
    ours = neutral_headers(keepsite.answer, keepsite.names)
    for name in sorted({*theirs, *ours}):
        pair = theirs.get(name, ABSENT), ours.get(name, ABSENT)
        if pair[0] != pair[1]:
            yield Difference(f"header {name}", *pair)


def _in_bodies(step: Step, barbican: Seen, keepsite: Seen) -> Iterator[Difference]:
    theirs, ours = barbican.answer, keepsite.answer
    if theirs.is_json and ours.is_json:
        yield from _in_values(
            "body", neutral(theirs.json, barbican.names), neutral(ours.json, keepsite.names)
        )
    elif step.is_random:
        if kind_of(theirs.body) != kind_of(ours.body):
            yield Difference("body", kind_of(theirs.body), kind_of(ours.body))
    elif theirs.body != ours.body:
        yield Difference("body", theirs.body, ours.body)


def _in_values(where: str, theirs: object, ours: object) -> Iterator[Difference]:
    name = where.rpartition(".")[2]
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in [*theirs, *(key for key in ours if key not in theirs)]:
            yield from _in_values(f"{where}.{key}", theirs.get(key, ABSENT), ours.get(key, ABSENT))
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        if name in UNORDERED:
            theirs, ours = sorted(theirs, key=repr), sorted(ours, key=repr)
        for number, pair in enumerate(zip(theirs, ours, strict=True)):
            yield from _in_values(f"{where}.{number}", *pair)
    elif name in PROSE and isinstance(theirs, str) and isinstance(ours, str):
        yield from _in_prose(where, theirs, ours)
    elif type(theirs) is not type(ours) or theirs != ours:
        yield Difference(where, theirs, ours)


def _in_prose(where: str, theirs: str, ours: str) -> Iterator[Difference]:
    if bool(theirs) != bool(ours) or any(words in theirs and words not in ours for words in SEARCHED_FOR):
        yield Difference(where, theirs, ours)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= TOO_LONG else f"{text[:TOO_LONG]}..."
