"""What a request of the corpus is, as data: it is sent to both sides with each side's own ids."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

PLACE = re.compile(r"\{([a-z_][\w.:@-]*)\}")
REFS = ("secret_ref", "container_ref", "order_ref", "transport_key_ref", "secret_store_ref")


class NotMade(LookupError):
    """A step names something that an earlier step should have made and did not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One request.

    ``{name}`` in path, headers and body stands for the id of what an earlier step ``saves`` under
    that name, ``{name.ref}`` for its whole ref; ``{project}``, ``{away}`` and ``{user:<who>}`` are
    Keystone's ids.
    """

    method: str
    path: str
    who: str | None = "owner"  # a user of the cast, ``user@away`` for the other project; None: no token
    body: object = None  # bytes are sent as they are, anything else as JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    saves: str = ""  # "name", the ref the answer holds, or "name=path.into.the.body"
    note: str = ""
    is_random: bool = False  # the body that comes back differs each time: only its kind is compared
    until: str = ""  # repeated until "done" (an order is no longer PENDING) or until "gone" (404)

    @property
    def label(self) -> str:
        """What it is about, for people."""
        return self.note or f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Scenario:
    """Steps that build on one another, in projects that no other scenario uses."""

    name: str
    steps: Sequence[Step]


def filled(value: object, facts: Mapping[str, str]) -> object:
    """``value`` with every ``{name}`` that ``facts`` knows, in strings at any depth.

    Raises:
        NotMade: a name is not known.
    """
    if isinstance(value, str):
        return PLACE.sub(lambda match: _known(match[1], facts), value)
    if isinstance(value, Mapping):
        return {filled(name, facts): filled(item, facts) for name, item in value.items()}
    if isinstance(value, list):
        return [filled(item, facts) for item in value]
    return value


def dug(body: object, path: str) -> object:
    """What stands at a path such as ``secret_refs.0.secret_ref``; None where there is nothing."""
    for name in path.split("."):
        if isinstance(body, list) and name.isdigit() and int(name) < len(body):
            body = body[int(name)]
        elif isinstance(body, Mapping):
            body = body.get(name)
        else:
            return None
    return body


def saved(step: Step, body: object) -> dict[str, str]:
    """The ids that later steps may name, from a JSON answer."""
    name, _, path = step.saves.partition("=")
    if not name:
        return {}
    found = [dug(body, path)] if path else [dug(body, ref) for ref in REFS]
    ref = next((ref for ref in found if isinstance(ref, str)), None)
    return {} if ref is None else {name: ref.rpartition("/")[2], f"{name}.ref": ref}


def _known(name: str, facts: Mapping[str, str]) -> str:
    if name not in facts:
        raise NotMade(name)
    return facts[name]


def get(path: str, note: str = "", **options: object) -> Step:
    """A GET."""
    return Step(method="GET", path=path, note=note, **options)


def post(path: str, body: object = None, note: str = "", **options: object) -> Step:
    """A POST."""
    return Step(method="POST", path=path, body=body, note=note, **options)


def put(path: str, body: object = None, note: str = "", **options: object) -> Step:
    """A PUT."""
    return Step(method="PUT", path=path, body=body, note=note, **options)


def patch(path: str, body: object = None, note: str = "", **options: object) -> Step:
    """A PATCH."""
    return Step(method="PATCH", path=path, body=body, note=note, **options)


def delete(path: str, body: object = None, note: str = "", **options: object) -> Step:
    """A DELETE."""
    return Step(method="DELETE", path=path, body=body, note=note, **options)


def version(number: str) -> dict[str, str]:
    """The header that asks for a microversion."""
    return {"OpenStack-API-Version": f"key-manager {number}"}
