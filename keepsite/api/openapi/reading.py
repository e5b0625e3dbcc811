"""The page that people read: the document, and nothing that is not in it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import Any

from keepsite.api.exceptions import TITLES
from keepsite.api.openapi.document import document
from keepsite.api.openapi.schemas import JSON

SCHEMAS = "#/components/schemas/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A piece of what a value may be; with ``object_name``, one of the objects described below."""

    text: str
    is_literal: bool = False
    object_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A parameter, or a name in an object; names within names have dots between them."""

    name: str
    kind: tuple[Word, ...]
    note: str
    is_required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What a body may be: in these media types, of this kind, with these fields."""

    media_types: tuple[str, ...]
    kind: tuple[Word, ...]
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A status, when it is given and with what."""

    code: str
    title: str
    note: str
    bodies: tuple[Body, ...] = ()
    headers: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One operation."""

    id: str
    verb: str
    path: str
    summary: str
    note: str
    needs_credential: bool
    parameters: tuple[Field, ...]
    bodies: tuple[Body, ...]
    answer: Reply
    own_refusals: tuple[Reply, ...]  # those with words of their own
    common_refusals: tuple[str, ...]  # statuses explained once, for all


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The operations of one collection."""

    id: str
    title: str
    methods: tuple[Method, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """An object that bodies are made of."""

    name: str
    note: str
    kind: tuple[Word, ...]
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Everything on the page."""

    title: str
    summary: str
    paragraphs: tuple[str, ...]
    groups: tuple[Group, ...]
    refusals: tuple[Reply, ...]
    objects: tuple[Described, ...]


@cache
def page() -> Page:
    """The page; its type alone sets literals apart, not the document's marks around them."""
    whole = json.loads(json.dumps(document()).replace("`", ""))
    info = whole["info"]
    return Page(
        title=info["title"],
        summary=info["summary"],
        paragraphs=tuple(info["description"].strip().split("\n\n")),
        groups=tuple(_groups(whole)),
        refusals=tuple(
            sorted(
                (_reply(str(_code_of(response)), response) for response in _common(whole).values()),
                key=lambda reply: reply.code,
            )
        ),
        objects=tuple(
            Described(
                name=name,
                note=schema.get("description", ""),
                kind=_kind(schema),
                fields=tuple(_fields(schema)),
            )
            for name, schema in whole["components"]["schemas"].items()
            if not name.endswith("Error")
        ),
    )


def _common(whole: JSON) -> Mapping[str, JSON]:
    responses: Mapping[str, JSON] = whole["components"]["responses"]
    return responses


def _code_of(response: JSON) -> int:
    error = response["content"]["application/json"]["schema"]["$ref"].removeprefix(SCHEMAS)
    code: int = document()["components"]["schemas"][error]["properties"]["code"]["const"]
    return code


def _groups(whole: JSON) -> Iterator[Group]:
    operations = [
        (path, verb, operation)
        for path, methods in whole["paths"].items()
        for verb, operation in methods.items()
    ]
    for tag in whole["tags"]:
        name = tag["name"]
        yield Group(
            id=name,
            title=name.replace("-", " ").replace("_", " ").capitalize(),
            methods=tuple(
                _method(path, verb, operation)
                for path, verb, operation in operations
                if name in operation["tags"]
            ),
        )


def _method(path: str, verb: str, operation: JSON) -> Method:
    answers = operation["responses"]
    yes = next(code for code in answers if int(code) < HTTPStatus.BAD_REQUEST)
    refusals = {code: answer for code, answer in answers.items() if code != yes}
    return Method(
        id=operation["operationId"],
        verb=verb.upper(),
        path=path,
        summary=operation["summary"],
        note=operation.get("description", ""),
        needs_credential=operation.get("security") != [],
        parameters=tuple(
            _parameter(parameter) for parameter in operation["parameters"] if "$ref" not in parameter
        ),
        bodies=_bodies(operation.get("requestBody", {})),
        answer=_reply(yes, answers[yes]),
        own_refusals=tuple(_reply(code, answer) for code, answer in refusals.items() if "$ref" not in answer),
        common_refusals=tuple(code for code, answer in refusals.items() if "$ref" in answer),
    )


def _parameter(parameter: JSON) -> Field:
    places = {"path": "in the path", "query": "in the query", "header": "a header"}
    return Field(
        name=parameter["name"],
        kind=(Word(text=f"{places[parameter['in']]}: "), *_kind(parameter["schema"])),
        note=parameter["description"],
        is_required=parameter.get("required", False),
    )


def _reply(code: str, response: JSON) -> Reply:
    status = HTTPStatus(int(code))
    return Reply(
        code=code,
        title=TITLES.get(status, status.phrase),
        note=response["description"],
        bodies=() if status >= HTTPStatus.BAD_REQUEST else _bodies(response),
        headers=tuple(
            Field(name=name, kind=(), note=header["description"], is_required=True)
            for name, header in response["headers"].items()
            if "$ref" not in header
        ),
    )


def _bodies(holder: JSON) -> tuple[Body, ...]:
    """The bodies of a request or answer, media types with the same schema together."""
    by_schema: dict[str, tuple[JSON, list[str]]] = {}
    for media_type, content in holder.get("content", {}).items():
        by_schema.setdefault(str(content["schema"]), (content["schema"], []))[1].append(media_type)
    return tuple(
        Body(media_types=tuple(media_types), kind=_kind(schema), fields=tuple(_fields(schema)))
        for schema, media_types in by_schema.values()
    )


def _fields(schema: JSON, prefix: str = "") -> Iterator[Field]:
    """The names of an object, those of objects within it after their own."""
    needed = schema.get("required", ())
    for name, inner in schema.get("properties", {}).items():
        yield Field(
            name=prefix + name,
            kind=_kind(inner),
            note=inner.get("description", ""),
            is_required=name in needed,
        )
        yield from _fields(inner, f"{prefix}{name}.")
        yield from _fields(inner.get("items", {}), f"{prefix}{name}[].")
    for number, form in enumerate(schema.get("anyOf", ()), start=1):
        if "$ref" not in form:
            yield from _fields(form, f"{prefix}({number}) " if "properties" in form else prefix)


def _kind(schema: JSON) -> tuple[Word, ...]:
    """What a value of ``schema`` may be, in words."""
    words: tuple[Word, ...]
    match schema:
        case {"$ref": ref}:
            name = ref.removeprefix(SCHEMAS)
            words = (Word(text=name, object_name=name),)
        case {"const": value}:
            words = (_literal(value),)
        case {"enum": values}:
            words = _joined([(_literal(value),) for value in values])
        case {"anyOf": forms} if "properties" not in schema:
            words = _joined([_kind(form) for form in forms])
        case {"not": {}}:
            words = (Word(text="must be left out"),)
        case {"type": "array"}:
            words = (Word(text="list of "), *_kind(schema.get("items", {"type": "nothing"})))
        case _:
            types = schema.get("type", "value")
            words = (Word(text=(types if isinstance(types, str) else " or ".join(types)) + _limits(schema)),)
    return words


def _limits(schema: JSON) -> str:
    limits = []
    if "maxLength" in schema:
        limits.append(f"at most {schema['maxLength']} characters")
    if "minimum" in schema and "maximum" in schema:
        limits.append(f"{schema['minimum']} to {schema['maximum']}")
    if "examples" in schema:
        limits.append(f"{' or '.join(schema['examples'])}, in any case")
    if schema.get("format") in {"uuid", "date-time", "uri"}:
        limits.append({"uuid": "UUID", "uri": "absolute URL", "date-time": "ISO 8601"}[schema["format"]])
    return f" ({', '.join(limits)})" if limits else ""


def _literal(value: Any) -> Word:  # Any: a JSON value
    return Word(text=value if value and isinstance(value, str) else json.dumps(value), is_literal=True)


def _joined(kinds: list[tuple[Word, ...]]) -> tuple[Word, ...]:
    words: list[Word] = []
    for position, kind in enumerate(kinds):
        if position:
            words.append(Word(text=" or " if position == len(kinds) - 1 else ", "))
        words += kind
    return tuple(words)
