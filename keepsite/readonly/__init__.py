"""What every list and page of the console is made of: pages to look at, and no form that saves.

It lies below the apps, so that each can describe its own rows; the templates are in
``templates/console``.
"""

from keepsite.readonly.cells import (
    Tone,
    bits,
    breakable,
    clock,
    code,
    data_size,
    day,
    link,
    missing,
    moment,
    pill,
    relative,
    short_id,
    text,
    unbroken,
    utc,
)
from keepsite.readonly.counts import counted
from keepsite.readonly.details import Bar, Detail, Fact, Notice, Section, Span
from keepsite.readonly.filters import ChoiceFilter, CreatedFilter, ExpiringFilter, ProjectFilter, StateFilter
from keepsite.readonly.lists import EmptyState, Heading, Row, Table
from keepsite.readonly.model_admin import ReadOnlyAdmin, detail_url, list_url

__all__ = [
    "Bar",
    "ChoiceFilter",
    "CreatedFilter",
    "Detail",
    "EmptyState",
    "ExpiringFilter",
    "Fact",
    "Heading",
    "Notice",
    "ProjectFilter",
    "ReadOnlyAdmin",
    "Row",
    "Section",
    "Span",
    "StateFilter",
    "Table",
    "Tone",
    "bits",
    "breakable",
    "clock",
    "code",
    "counted",
    "data_size",
    "day",
    "detail_url",
    "link",
    "list_url",
    "missing",
    "moment",
    "pill",
    "relative",
    "short_id",
    "text",
    "unbroken",
    "utc",
]
