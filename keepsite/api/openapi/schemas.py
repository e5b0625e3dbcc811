"""The words in which bodies and parameters are described: JSON Schema, and little beside it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

JSON = dict[str, Any]  # Any: JSON values
UUID4 = "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"


@dataclass(frozen=True, slots=True)
class Component:
    """A schema with a name of its own in the document; everything else refers to it by that name."""

    name: str
    schema: JSON


Schema = JSON | Component

MOMENT: JSON = {
    "type": "string",
    "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?$",
    "description": "a moment in UTC, without a zone letter",
}
ID: JSON = {"type": "string", "format": "uuid", "pattern": UUID4}
URL: JSON = {"type": "string", "format": "uri"}
EXACT_TEXT: JSON = {"type": "string"}
ABSENT: JSON = {"not": {}}  # what must be left out; bare, since schemathesis knows it in this form


def text(*, max_chars: int | None = None, allows_blank: bool = True) -> JSON:
    """A string that is stripped of surrounding white space and then has at most ``max_chars`` characters."""
    nothing_between = r"^[^\u0000]*"
    pattern = nothing_between if allows_blank else rf"{nothing_between}[^\s\u0000]{nothing_between[1:]}"
    limits = {} if max_chars is None else {"maxLength": max_chars}
    return {"type": "string", "pattern": f"{pattern}$", **limits}


TEXT = text(max_chars=255)


def nullable(schema: JSON) -> JSON:
    """The same, or null."""
    return {**schema, "type": [schema["type"], "null"]}


def array(items: Schema) -> JSON:
    """A list of such."""
    return {"type": "array", "items": items}


def either(*schemas: Schema, **more: Any) -> JSON:  # Any: JSON values
    """Any of several."""
    return {"anyOf": list(schemas), **more}


def one_of(*values: str) -> JSON:
    """A string out of a closed list."""
    return {"type": "string", "enum": list(values)}


def spelt(*words: str) -> JSON:
    """One of these words in whatever case, with or without white space around; none holds a metacharacter."""
    in_any_case = "|".join("".join(map(_in_any_case, word)) for word in words)
    return {"type": "string", "pattern": rf"^\s*({in_any_case})\s*$", "examples": list(words)}


def _in_any_case(character: str) -> str:
    return f"[{character.upper()}{character.lower()}]" if character.isalpha() else character


def record(
    required: Mapping[str, Schema],
    optional: Mapping[str, Schema] | None = None,
    **more: Any,  # Any: JSON values
) -> JSON:
    """An object with exactly these names."""
    return {**open_record(required, optional), "additionalProperties": False, **more}


def open_record(
    required: Mapping[str, Schema],
    optional: Mapping[str, Schema] | None = None,
    **more: Any,  # Any: JSON values
) -> JSON:
    """An object with these names, whose other names are ignored."""
    needed = {"required": list(required)} if required else {}
    return {"type": "object", "properties": {**required, **(optional or {})}, **needed, **more}
