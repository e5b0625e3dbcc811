"""What one method of one route does, said beside the view that does it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar

from keepsite.api.openapi.schemas import URL, Component, Schema, array, record

View = TypeVar("View", bound=Callable[..., Any])  # Any: an action's or a function's own arguments
ATTRIBUTE = "openapi"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A value in the query or in a header."""

    name: str
    schema: Schema
    description: str
    location: str = "query"


@dataclass(frozen=True, slots=True, kw_only=True)
class RawBody:
    """A request body that is not JSON: each media type with what may be in it."""

    content: Mapping[str, Schema]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One status that says yes."""

    status: HTTPStatus
    description: str
    content: Mapping[str, Schema] = field(default_factory=dict)  # media type to body
    headers: Mapping[str, str] = field(default_factory=dict)  # always there; name to description


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A method of a route.

    Statuses that say no follow from the route and are not listed, but for those that only
    this operation gives, and for texts that fit it better; an ``Answer`` is one that is no error.
    """

    summary: str
    answer: Answer
    description: str = ""
    parameters: tuple[Parameter, ...] = ()
    body: Schema | RawBody | None = None
    refusals: Mapping[HTTPStatus, str | Answer] = field(default_factory=dict)


Described = Operation | Callable[[Any], Operation]  # Any: a viewset class, for actions that several share


def described(operation: Described, *, on: str = "GET") -> Callable[[View], View]:
    """Say what an action of a viewset does, or a function view on the method ``on``.

    An action that several viewsets share is described by a function of the viewset class.
    """

    def attach(view: View) -> View:
        setattr(view, ATTRIBUTE, {**getattr(view, ATTRIBUTE, {}), on: operation})
        return view

    return attach


def made(status: HTTPStatus, name: str, description: str) -> Answer:
    """The answer to what makes an object: its ref, in the body as ``name`` and in ``Location``."""
    return Answer(
        status=status,
        description=description,
        content={"application/json": record({name: URL})},
        headers={"Location": "the same ref"},
    )


PAGING = (
    Parameter(
        name="limit",
        schema={"type": ["integer", "string"]},
        description="items on a page; what is no number counts as not given, what is too great as the most",
    ),
    Parameter(
        name="offset",
        schema={"type": ["integer", "string"]},
        description="items to leave out at the start; what is no number counts as 0",
    ),
    Parameter(
        name="marker",
        schema={"type": "string"},
        description="id or ref that the page starts after, instead of an offset",
    ),
)


def paged(plural: str, items: Schema, **more: Any) -> Operation:  # Any: the fields of Operation
    """One page of a list."""
    page = record(
        {
            plural: array(items),
            "total": {"type": "integer", "minimum": 0, "description": "items on all pages"},
        },
        {
            "next": {**URL, "description": "the next page"},
            "previous": {**URL, "description": "the page before"},
        },
    )
    name = items.name if isinstance(items, Component) else plural.title().replace("_", "").removesuffix("s")
    body = Component(f"{name}Page", page)
    answer = Answer(
        status=HTTPStatus.OK, description="one page, oldest first", content={"application/json": body}
    )
    return Operation(**{"answer": answer, **more, "parameters": (*more.get("parameters", ()), *PAGING)})
