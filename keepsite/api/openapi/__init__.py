"""The OpenAPI document of the API, put together from what stands beside the views.

``schemas`` has the words that bodies are described in, ``operations`` those for what a
view does, ``document`` walks the routes and writes the document, ``reading`` turns that
into the page that people read.

Source: OpenAPI Specification 3.1.1; JSON Schema 2020-12.
"""

from keepsite.api.openapi.operations import Answer, Operation, Parameter, RawBody, described, made, paged
from keepsite.api.openapi.schemas import (
    ABSENT,
    EXACT_TEXT,
    ID,
    MOMENT,
    TEXT,
    URL,
    Component,
    Schema,
    array,
    either,
    nullable,
    one_of,
    open_record,
    record,
    spelt,
    text,
)

__all__ = [
    "ABSENT",
    "EXACT_TEXT",
    "ID",
    "MOMENT",
    "TEXT",
    "URL",
    "Answer",
    "Component",
    "Operation",
    "Parameter",
    "RawBody",
    "Schema",
    "array",
    "described",
    "either",
    "made",
    "nullable",
    "one_of",
    "open_record",
    "paged",
    "record",
    "spelt",
    "text",
]
