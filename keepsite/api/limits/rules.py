"""The limits file: what may stand in it, and what is wrong with it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from hashlib import blake2b
from pathlib import Path
from typing import Any

import yaml
from django.core.exceptions import ImproperlyConfigured

from keepsite.identity.principal import Principal

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
EVERY_METHOD = "ALL"
MAX_VALUE = 2**31 - 1
MAX_ID_CHARS = 64
_KNOWN = ("id", "uri", "uri-regex", "http-methods", "unit", "value", "per", "use-capture-groups")
_NEEDED = ("id", "uri-regex", "unit", "value")


class LimitsFileInvalid(ImproperlyConfigured):
    """The limits file cannot be used; names it and says which entry to mend, and how."""

    def __init__(self, path: Path, problems: list[str]) -> None:
        self.path = path
        self.problems = problems
        super().__init__(f"The limits file {path} cannot be used: {'; '.join(problems)}.")


class Unit(Enum):
    """How long a block of counting lasts; the value is in seconds."""

    SECOND = 1
    MINUTE = 60
    HOUR = 3_600
    DAY = 86_400


class Per(Enum):
    """Whose requests are counted together."""

    PROJECT = "project"
    USER = "user"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rate limit: at most ``value`` matching requests per ``unit``, for each project or user.

    The vocabulary and its meaning are those of the Repose filter that many clouds
    had in front of their APIs: the expression must match the whole path, and every
    text that its groups capture has a counter of its own.
    """

    id: str
    uri: str  # shown to people
    pattern: re.Pattern[str]
    methods: frozenset[str]  # empty: all
    unit: Unit
    value: int
    per: Per = Per.PROJECT
    separates_captures: bool = True
    line: int = field(default=0, compare=False)

    @property
    def captures(self) -> bool:
        """Whether different paths have different counters."""
        return self.separates_captures and self.pattern.groups > 0

    def captured(self, method: str, path: str) -> tuple[str, ...] | None:
        """What the groups capture of ``path``, or None where the rule does not apply."""
        if self.methods and method not in self.methods:
            return None
        return self.captured_of(path)

    def captured_of(self, path: str) -> tuple[str, ...] | None:
        """The same for whatever method."""
        match = self.pattern.fullmatch(path)
        if match is None:
            return None
        return tuple(text or "" for text in match.groups()) if self.separates_captures else ()

    def counter_name(self, caller: Principal, captured: tuple[str, ...]) -> str:
        """The name of the counter that a caller's request is charged to; says nothing to who reads it.

        Made of ids that every node knows, so all nodes, of whatever colour, charge the same one.
        """
        subject = f"user:{caller.user_id}" if self.per is Per.USER and caller.user_id else ""
        parts = (self.id, self.unit.name, subject or f"project:{caller.project_id}", *captured)
        text = "".join(f"{len(part)}:{part}" for part in parts)  # lengths keep the parts apart
        return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def read_rules(path: Path) -> tuple[Rule, ...]:
    """The rules of a limits file (YAML or JSON), in its order.

    Raises:
        LimitsFileInvalid: says for every entry that cannot be used what is accepted.
    """
    try:
        document = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except FileNotFoundError as error:
        raise LimitsFileInvalid(path, ["there is no such file"]) from error
    except (OSError, UnicodeDecodeError) as error:
        raise LimitsFileInvalid(path, [f"it cannot be read ({error})"]) from error
    except yaml.YAMLError as error:
        raise LimitsFileInvalid(path, [f"it is not YAML ({error})"]) from error
    entries = _entries_of(document)
    if entries is None:
        raise LimitsFileInvalid(path, ["it must hold one name, limits, with a list of limits under it"])
    problems: list[str] = []
    rules: list[Rule] = []
    for number, node in enumerate(entries, start=1):
        where = f"limit {number} (line {node.start_mark.line + 1})"
        try:
            values = _values_of(node)
            rules.append(_rule(values, line=node.start_mark.line + 1))
        except _NotAccepted as error:
            problems += [f"{where}: {reason}" for reason in error.reasons]
    problems += _repeated_ids(rules)
    if problems:
        raise LimitsFileInvalid(path, problems)
    return tuple(rules)


class _NotAccepted(Exception):  # carries what is wrong with one entry
    def __init__(self, *reasons: str) -> None:
        self.reasons = reasons
        super().__init__(*reasons)


def _entries_of(document: yaml.Node | None) -> list[yaml.Node] | None:
    """The nodes under ``limits``, or None where the file is not of that shape."""
    if not isinstance(document, yaml.MappingNode) or len(document.value) != 1:
        return None
    name, entries = document.value[0]
    if name.value != "limits" or not isinstance(entries, yaml.SequenceNode):
        return None
    return list(entries.value)


def _values_of(node: yaml.Node) -> dict[str, Any]:  # Any: YAML values, checked next
    if not isinstance(node, yaml.MappingNode):
        raise _NotAccepted(f"it must map names to values; known names are {', '.join(_KNOWN)}")
    names = [str(name.value) for name, _ in node.value]
    reasons = [f"{name} is not known; known are {', '.join(_KNOWN)}" for name in names if name not in _KNOWN]
    reasons += [f"{name} stands there twice" for name in sorted({*names}) if names.count(name) > 1]
    reasons += [f"{name} is missing" for name in _NEEDED if name not in names]
    if reasons:
        raise _NotAccepted(*reasons)
    loader = yaml.SafeLoader("")
    try:
        return {str(name.value): loader.construct_object(value, deep=True) for name, value in node.value}
    except yaml.YAMLError as error:
        raise _NotAccepted(f"a value is not plain YAML ({error})") from error
    finally:
        loader.dispose()


def _rule(values: dict[str, Any], *, line: int) -> Rule:  # Any: YAML values
    reasons = list(_problems_of(values))
    if reasons:
        raise _NotAccepted(*reasons)
    return Rule(
        id=values["id"],
        uri=values.get("uri", values["uri-regex"]),
        pattern=re.compile(values["uri-regex"]),
        methods=_methods(values.get("http-methods")),
        unit=Unit[values["unit"].upper()],
        value=values["value"],
        per=Per(values.get("per", Per.PROJECT.value)),
        separates_captures=values.get("use-capture-groups", True),
        line=line,
    )


def _problems_of(values: dict[str, Any]) -> Iterator[str]:  # Any: YAML values
    if not isinstance(values["id"], str) or not 1 <= len(values["id"]) <= MAX_ID_CHARS:
        yield f"id must be a text of 1 to {MAX_ID_CHARS} characters"
    if not isinstance(values.get("uri", ""), str):
        yield "uri must be a text that people can read"
    yield from _problem_of_expression(values["uri-regex"])
    if not _are_methods(values.get("http-methods")):
        yield f"http-methods must be a list of {', '.join(sorted(METHODS))}, or {EVERY_METHOD}"
    if not isinstance(values["unit"], str) or values["unit"].upper() not in Unit.__members__:
        yield f"unit must be one of {', '.join(Unit.__members__)}, not {values['unit']!r}"
    value = values["value"]
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_VALUE:
        yield f"value must be a whole number from 0 to {MAX_VALUE}, not {value!r}"
    if values.get("per", Per.PROJECT.value) not in {per.value for per in Per}:
        yield f"per must be {' or '.join(per.value for per in Per)}, not {values['per']!r}"
    if not isinstance(values.get("use-capture-groups", True), bool):
        yield "use-capture-groups must be true or false"


def _problem_of_expression(expression: object) -> Iterator[str]:
    if not isinstance(expression, str):
        yield "uri-regex must be a text"
        return
    try:
        re.compile(expression)
    except re.error as error:
        yield f"uri-regex {expression!r} is not a regular expression ({error})"


def _are_methods(listed: object) -> bool:
    names = [listed] if isinstance(listed, str) else listed
    if names is None:
        return True
    return (
        isinstance(names, list)
        and bool(names)
        and all(isinstance(name, str) and name.upper() in METHODS | {EVERY_METHOD} for name in names)
    )


def _methods(listed: str | list[str] | None) -> frozenset[str]:
    names = {name.upper() for name in ([listed] if isinstance(listed, str) else listed or [EVERY_METHOD])}
    return frozenset() if EVERY_METHOD in names else frozenset(names)


def _repeated_ids(rules: list[Rule]) -> Iterator[str]:
    seen: dict[str, int] = {}
    for rule in rules:
        if rule.id in seen:
            yield f"the limits of lines {seen[rule.id]} and {rule.line} have the same id, {rule.id!r}"
        seen[rule.id] = rule.line
