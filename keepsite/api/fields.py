"""Serializer fields that take JSON's types as they are, and coerce nothing."""

import re
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeGuard

from rest_framework import serializers

from keepsite.api.openapi import EXACT_TEXT, Component, Schema, either, nullable, one_of, open_record, text
from keepsite.api.openapi.schemas import JSON
from keepsite.errors import InvalidInput

TEXT_MAX_CHARS = 255
_UNSTORABLE = re.compile("[\\x00\\ud800-\\udfff]")
NOT_STORABLE = "must hold neither NUL nor half of a surrogate pair"


def is_storable(text: str) -> bool:
    """Whether every database can keep ``text``: no NUL, no half of a surrogate pair."""
    return _UNSTORABLE.search(text) is None


class Text(serializers.Field[str, object, str, Any]):
    """A JSON string of at most ``max_chars`` characters, stripped of surrounding white space.

    Not Django REST framework's CharField, which answers blank text before it asks
    ``to_internal_value``, and so lets it past every check of a subclass.
    """

    def __init__(
        self,
        *,
        max_chars: int | None = TEXT_MAX_CHARS,
        allow_blank: bool = True,
        **options: Any,  # Any: the framework's options
    ) -> None:
        self.max_chars = max_chars
        self.allow_blank = allow_blank
        super().__init__(**{"required": False, **options})

    def to_internal_value(self, data: object) -> str:
        """The string; numbers and booleans are refused, not converted."""
        if not isinstance(data, str):
            raise serializers.ValidationError("must be a string")
        text = data.strip()
        if not text and not self.allow_blank:
            raise serializers.ValidationError("must not be empty")
        if self.max_chars is not None and len(text) > self.max_chars:
            raise serializers.ValidationError(f"must be at most {self.max_chars} characters long")
        if not is_storable(text):
            raise serializers.ValidationError(NOT_STORABLE)
        return text

    def to_representation(self, value: str) -> str:
        """The string as it is."""
        return value

    @property
    def json_schema(self) -> JSON:
        """What is accepted, but that half of a surrogate pair is not."""
        return text(max_chars=self.max_chars, allows_blank=self.allow_blank)


class ExactText(serializers.Field[str, object, str, Any]):
    """A JSON string taken as it came, of any length."""

    def __init__(self, **options: Any) -> None:  # Any: the framework's options
        super().__init__(**{"required": False, **options})

    def to_internal_value(self, data: object) -> str:
        """The string; numbers and booleans are refused, not converted."""
        if not isinstance(data, str):
            raise serializers.ValidationError("must be a string")
        return data

    def to_representation(self, value: str) -> str:
        """The string as it is."""
        return value

    @property
    def json_schema(self) -> JSON:
        """What is accepted."""
        return EXACT_TEXT


class Integer(serializers.Field[int, object, int, Any]):
    """A JSON number without a fraction, from ``low`` to ``high``; 12.0 is one, true is none."""

    def __init__(self, *, low: int, high: int, **options: Any) -> None:  # Any: the framework's options
        self.low = low
        self.high = high
        super().__init__(**{"required": False, **options})

    def to_internal_value(self, data: object) -> int:
        """The number."""
        wanted = f"must be an integer from {self.low} to {self.high}"
        if not is_whole(data) or not self.low <= data <= self.high:
            raise serializers.ValidationError(wanted)
        return int(data)

    def to_representation(self, value: int) -> int:
        """The number as it is."""
        return value

    @property
    def json_schema(self) -> JSON:
        """What is accepted."""
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


def is_whole(value: object) -> TypeGuard[int | float]:
    """Whether a JSON value is a number without a fraction; 12.0 is one, true is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1


class OneOf(Text):
    """A JSON string out of a closed list."""

    def __init__(self, *accepted: str, **options: Any) -> None:  # Any: the framework's options
        self.accepted = accepted
        super().__init__(**options)

    def to_internal_value(self, data: object) -> str:
        """The string, if it is one of them."""
        value = super().to_internal_value(data)
        if value not in self.accepted:
            raise serializers.ValidationError(f"must be one of {', '.join(self.accepted)}")
        return value

    @property
    def json_schema(self) -> JSON:
        """What is accepted, but for white space around it."""
        return one_of(*self.accepted)


class Moment(Text):
    """A point in time as ISO 8601 text; blank means none."""

    def to_internal_value(self, data: object) -> datetime | None:  # type: ignore[override]  # text in, time out
        """The moment in UTC, or None for blank text."""
        text = super().to_internal_value(data)
        if not text:
            return None
        try:
            return parse_moment(text)
        except ValueError as error:
            raise serializers.ValidationError(
                "must be an ISO 8601 date and time such as 2030-01-31T12:00:00"
            ) from error

    @property
    def json_schema(self) -> JSON:
        """What is accepted, but for shorter forms of ISO 8601."""
        return either(
            {"type": "string", "format": "date-time", "description": "without a zone it is UTC"},
            {"type": "string", "pattern": r"^\s*$", "description": "none"},
        )


def parse_moment(text: str) -> datetime:
    """The moment that ISO 8601 text names, in UTC; without a zone it is taken as UTC.

    Years and months alone are accepted too, and stand for their first instant.

    Raises:
        ValueError: no such form, or no such day.
    """
    if re.fullmatch(r"\d{4}", text):
        text += "-01-01"
    elif re.fullmatch(r"\d{4}-\d{2}", text):
        text += "-01"
    moment = datetime.fromisoformat(text)
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{text} lies outside of the calendar") from error


def moment_text(moment: datetime | None) -> str | None:
    """A moment as the contract writes it: UTC, never with a zone, fraction only if there is one.

    Clients in Go parse with a layout that has no zone: a ``Z`` would break them all.
    """
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None).isoformat()


@cache
def _shared(kind: type["ContractSerializer"]) -> "ContractSerializer":
    """One serializer of each kind: it keeps nothing of what it checks, and making one copies every field."""
    return kind()


def _json_schema(
    field: Any,
) -> JSON:  # Any: one of the fields above; the framework's base has no such property
    schema: JSON = field.json_schema
    return schema


class ContractSerializer(serializers.Serializer[Any]):  # Any: it validates, no model stands behind
    """Checks one kind of body; unknown names in it are ignored."""

    schema: str

    @classmethod
    def properties(cls) -> dict[str, Schema]:
        """What is accepted in each field, as JSON Schema."""
        return {
            name: nullable(shown) if field.allow_null else shown
            for name, field in _shared(cls).fields.items()
            for shown in [_json_schema(field)]
        }

    @classmethod
    def component(cls, **more: Any) -> Component:  # Any: JSON values
        """The body as the API's document describes it, under the name of this class."""
        properties = cls.properties()
        needed = {name for name, field in _shared(cls).fields.items() if field.required}
        return Component(
            cls.__name__.removesuffix("Serializer"),
            open_record(
                {name: schema for name, schema in properties.items() if name in needed},
                {name: schema for name, schema in properties.items() if name not in needed},
                **more,
            ),
        )

    @classmethod
    def checked(cls, body: object) -> dict[str, Any]:  # Any: each field's own type
        """The validated values of ``body``.

        Raises:
            InvalidInput: names the schema, the reason and the property at fault.
        """
        try:
            return dict(_shared(cls).run_validation(body))
        except serializers.ValidationError as error:
            raise cls._refusal(error.detail) from error

    @classmethod
    def _refusal(cls, detail: Any) -> InvalidInput:  # Any: the framework's nest of lists and dicts
        name, problem = next(iter(detail.items()))
        while isinstance(problem, dict):
            problem = next(iter(problem.values()))
        reason = problem[0] if isinstance(problem, list) else problem
        where = "" if name == "non_field_errors" else f" Invalid property: {name!r}."
        prefix = "" if name == "non_field_errors" else f"{name}: "
        return InvalidInput(
            f"Provided object does not match schema {cls.schema!r}: {prefix}{reason}.{where}".replace(
                "..", "."
            )
        )
