import re
from typing import Any

from keepsite.api.fields import NOT_STORABLE, TEXT_MAX_CHARS, is_storable
from keepsite.api.openapi import Component, open_record, record, text
from keepsite.errors import InvalidInput

_NAME = re.compile(r"[A-Za-z0-9_-]+")


_NAME_SHOWN = {"type": "string", "pattern": rf"^\s*[A-Za-z0-9_-]{{1,{TEXT_MAX_CHARS}}}\s*$"}
_VALUE_SHOWN = text(max_chars=TEXT_MAX_CHARS)
_SET = {"type": "object", "propertyNames": _NAME_SHOWN, "additionalProperties": _VALUE_SHOWN}
METADATA = Component("Metadata", open_record({"metadata": _SET}))
METADATUM = Component("Metadatum", record({"key": _NAME_SHOWN, "value": _VALUE_SHOWN}))


def whole_set(body: dict[str, Any]) -> dict[str, str]:  # Any: JSON values
    """The notes that the body of PUT on all metadata holds, names in lower case.

    Raises:
        InvalidInput: no ``metadata`` object, or a name or value it cannot hold.
    """
    notes = body.get("metadata")
    if not isinstance(notes, dict):
        raise _refused("SecretMetadata", "metadata must be an object of names and texts")
    return {_name(name, "SecretMetadata"): _value(value, "SecretMetadata") for name, value in notes.items()}


def one_note(body: dict[str, Any]) -> tuple[str, str]:  # Any: JSON values
    """Name, in lower case, and value of the one note that a body holds.

    Raises:
        InvalidInput: other than exactly ``key`` and ``value``.
    """
    if body.keys() != {"key", "value"}:
        raise _refused("SecretMetadatum", "exactly key and value are expected")
    return _name(body["key"], "SecretMetadatum"), _value(body["value"], "SecretMetadatum")


def _name(text: object, schema: str) -> str:
    name = text.strip() if isinstance(text, str) else ""
    if not _NAME.fullmatch(name) or len(name) > TEXT_MAX_CHARS:
        raise _refused(schema, f"a name has 1 to {TEXT_MAX_CHARS} of the characters A-Z a-z 0-9 _ -")
    return name.lower()


def _value(text: object, schema: str) -> str:
    if not isinstance(text, str) or len(text.strip()) > TEXT_MAX_CHARS:
        raise _refused(schema, f"a value is a text of at most {TEXT_MAX_CHARS} characters")
    if not is_storable(text):
        raise _refused(schema, f"a value {NOT_STORABLE}")
    return text.strip()


def _refused(schema: str, reason: str) -> InvalidInput:
    return InvalidInput(f"Provided object does not match schema {schema!r}: {reason}.")
