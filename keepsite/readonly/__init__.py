"""What every list and page of the console is made of: pages to look at, and no form that saves.

It lies below the apps, so that each can describe its own rows; the templates are in
``templates/console``.
"""

from keepsite.readonly.cells import (
    Tone,
    bits,
    breakable,
    code,
    data_size,
    link,
    missing,
    pill,
    short_id,
    text,
    unbroken,
)
from keepsite.readonly.counts import counted
from keepsite.readonly.days import FromDayFilter, ToDayFilter
from keepsite.readonly.details import Bar, Detail, Fact, Notice, Section, Span
from keepsite.readonly.filters import ChoiceFilter, CreatedFilter, ExpiringFilter, ProjectFilter, StateFilter
from keepsite.readonly.lists import EmptyState, Heading, Row, Table, faults
from keepsite.readonly.model_admin import ReadOnlyAdmin, detail_url, list_url
from keepsite.readonly.moments import (
    TIME_OF_DAY,
    TO_THE_DAY,
    TO_THE_SECOND,
    clock,
    day,
    moment,
    relative,
    written,
)

__all__ = [
    "TIME_OF_DAY",
    "TO_THE_DAY",
    "TO_THE_SECOND",
    "Bar",
    "ChoiceFilter",
    "CreatedFilter",
    "Detail",
    "EmptyState",
    "ExpiringFilter",
    "Fact",
    "FromDayFilter",
    "Heading",
    "Notice",
    "ProjectFilter",
    "ReadOnlyAdmin",
    "Row",
    "Section",
    "Span",
    "StateFilter",
    "Table",
    "ToDayFilter",
    "Tone",
    "bits",
    "breakable",
    "clock",
    "code",
    "counted",
    "data_size",
    "day",
    "detail_url",
    "faults",
    "link",
    "list_url",
    "missing",
    "moment",
    "pill",
    "relative",
    "short_id",
    "text",
    "unbroken",
    "written",
]
