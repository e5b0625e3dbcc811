"""A list as a file: every row of the present search and filters, one page of the database at a time."""

import csv
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.db.models import QuerySet

PAGE_ROWS = 1_000
MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json"}
# Spreadsheets take a cell that starts with one of these for a formula, and run it.
# Source: OWASP, CSV injection.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def exported(
    rows: QuerySet[Any],  # Any: any model
    fields: Mapping[str, str],
    *,
    kind: str,
    lists: Mapping[str, str] | None = None,
) -> Iterator[str]:
    """``rows`` as CSV or JSON, a thousand at a time; ``fields`` maps headings to look-ups.

    ``lists`` does so of what a row has several of; they come last, in CSV with a space
    between them.  Rows come in the order of their ids, so that one that changes meanwhile
    is neither skipped nor repeated.  Texts that a spreadsheet would run have a ' in front,
    in CSV.
    """
    lists = lists or {}
    values = _values(rows, tuple(fields.values()), tuple(lists.values()))
    return (_csv if kind == "csv" else _json)((*fields, *lists), values)


def _values(
    rows: QuerySet[Any], lookups: tuple[str, ...], listed: tuple[str, ...]
) -> Iterator[tuple[Any, ...]]:  # Any: columns
    ordered = rows.order_by("pk").values_list("pk", *lookups)
    last = None
    while True:
        page = list((ordered if last is None else ordered.filter(pk__gt=last))[:PAGE_ROWS])
        several = [_several(rows, path, [pk for pk, *_ in page]) for path in listed]
        yield from ((*columns, *(found[pk] for found in several)) for pk, *columns in page)
        if len(page) < PAGE_ROWS:
            return
        last = page[-1][0]


def _several(
    rows: QuerySet[Any], path: str, pks: Sequence[Any]
) -> defaultdict[Any, list[Any]]:  # Any: columns
    """What each of these rows has at ``path``, sorted."""
    found: defaultdict[Any, list[Any]] = defaultdict(list)
    having = rows.model._default_manager.filter(pk__in=pks, **{f"{path}__isnull": False})  # noqa: SLF001  # Django's API
    for pk, value in having.order_by("pk", path).values_list("pk", path):
        found[pk].append(value)
    return found


class _Line:
    """What csv writes to: it keeps nothing and hands the line back."""

    def write(self, line: str) -> str:
        return line


def _csv(headings: tuple[str, ...], values: Iterator[tuple[Any, ...]]) -> Iterator[str]:  # Any: columns
    line = csv.writer(_Line())
    yield line.writerow(headings)
    for columns in values:
        yield line.writerow([_cell(column) for column in columns])


def _json(headings: tuple[str, ...], values: Iterator[tuple[Any, ...]]) -> Iterator[str]:  # Any: columns
    comma = "["
    for columns in values:
        row = {heading: _plain(column) for heading, column in zip(headings, columns, strict=True)}
        yield comma + "\n" + json.dumps(row, ensure_ascii=False)
        comma = ","
    yield "[]\n" if comma == "[" else "\n]\n"


def _cell(value: object) -> object:
    value = _plain(value)
    if isinstance(value, list):
        value = " ".join(map(str, value))
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return "'" + value
    return value


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    return value
