"""Lists: ``limit`` with ``offset`` or ``marker`` in, ``total``, ``next`` and ``previous`` out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Model, Q, QuerySet
from django.db.models.expressions import OrderBy, RawSQL
from rest_framework.request import Request

from keepsite.api.context import context_of
from keepsite.ids import is_id

M = TypeVar("M", bound=Model)
PARAMETERS = frozenset({"limit", "offset", "marker"})
MAX_OFFSET = 2**31 - 1  # beyond it: as if none were given
DEEP_OFFSET = 1_000  # rows from which on it pays to skip them in an index first


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which part of a list a request asks for; bad values never fail, they fall back."""

    limit: int
    offset: int

    @classmethod
    def of(cls, request: Request) -> "Page":
        """The page that ``limit`` and ``offset`` of the query name."""
        limit = _number(request.query_params.get("limit", ""))
        offset = _number(request.query_params.get("offset", ""))
        return cls(
            limit=settings.PAGE_SIZE if limit is None else min(max(limit, 1), settings.MAX_PAGE_SIZE),
            offset=offset if offset is not None and 0 <= offset <= MAX_OFFSET else 0,
        )


def envelope(
    request: Request,
    rows: QuerySet[M],
    *,
    path: str,
    plural: str,
    show: Callable[[Sequence[M]], Sequence[Any]],
    count: Callable[[], int] | None = None,
) -> dict[str, Any]:  # Any: JSON values
    """One page of ``rows`` as the contract wraps it; two SQL statements, whatever its size.

    ``path`` is what follows ``/v1/``; ``show`` turns the rows of the page into JSON; ``count``
    knows a quicker way than COUNT to how many rows there are.
    Links keep every other parameter of the query.  A ``marker``, the id or ref that the page
    starts after, stands for an offset: it costs two statements more and is in no link.
    """
    page = Page.of(request)
    total = rows.count() if count is None else count()
    if marker := request.query_params.get("marker", "").rstrip("/"):
        before = _rows_up_to(rows, marker.rpartition("/")[2])
        page = replace(page, offset=total if before is None else before)
    shown = show(_shown(rows, page)) if page.offset < total else []
    body: dict[str, Any] = {plural: shown, "total": total}
    if not shown:
        return body
    if total > page.offset + page.limit:
        body["next"] = _link(request, path, limit=page.limit, offset=page.offset + page.limit)
    if page.offset > 0:
        body["previous"] = _link(request, path, limit=page.limit, offset=max(0, page.offset - page.limit))
    return body


def _shown(rows: QuerySet[M], page: Page) -> list[M]:
    """The rows of the page.

    Far from the start their ids are found first: that reads an index, where skipping whole
    rows reads each of them.  The ids' table has a name of its own because MariaDB takes no
    LIMIT in a subquery of IN.
    """
    wanted = slice(page.offset, page.offset + page.limit)
    if page.offset < DEEP_OFFSET:
        return list(rows[wanted])
    sql, parameters = rows.values("pk")[wanted].query.sql_with_params()
    ids = RawSQL(f"SELECT * FROM ({sql}) page", parameters)  # noqa: S608, S611  # Django's own SQL
    # not rows.filter(): the optimiser, given all its conditions again, would walk the whole list with them
    page_rows = rows.model._default_manager.filter(pk__in=ids).order_by(*rows.query.order_by)  # noqa: SLF001
    page_rows.query.select_related = rows.query.select_related
    return list(page_rows)


def _rows_up_to(rows: QuerySet[M], row_id: str) -> int | None:
    """How many of ``rows``, in their order, come up to and including this one; None if it is not there."""
    order = [_column(term) for term in rows.query.order_by]
    row = rows.filter(pk=row_id).values_list(*(name for name, _ in order)).first() if is_id(row_id) else None
    if row is None:
        return None
    before = Q(pk__in=[])
    alike = Q()
    for (name, descends), value in zip(order, row, strict=True):
        before |= alike & _sorts_before(name, value, descends=descends)
        alike &= Q(**{f"{name}__isnull": True} if value is None else {name: value})
    return rows.filter(before).count() + 1


def _column(term: Any) -> tuple[str, bool]:  # Any: the framework's, a name or an expression
    """The column of one term of an order, and whether it descends."""
    if isinstance(term, OrderBy):
        column: Any = term.expression  # an F, in all our querysets
        return column.name, term.descending
    return term, False


def _sorts_before(name: str, value: Any, *, descends: bool) -> Q:  # Any: a column's value
    """Null is the least of all values, to SQLite and MariaDB alike."""
    if value is None:
        return Q(**{f"{name}__isnull": False}) if descends else Q(pk__in=[])
    if descends:
        return Q(**{f"{name}__gt": value})
    return Q(**{f"{name}__lt": value}) | Q(**{f"{name}__isnull": True})


def _link(request: Request, path: str, *, limit: int, offset: int) -> str:
    kept = [(name, value) for name, value in request.GET.items() if name not in PARAMETERS]
    query = urlencode([("limit", limit), ("offset", offset), *kept])
    return f"{context_of(request).base_href}/v1/{path}?{query}"


def _number(text: str) -> int | None:
    """The number that ``text`` is, or any beyond ``MAX_OFFSET`` for one beyond it; None if it is none."""
    text = text.strip()
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        return None
    significant = digits.lstrip("0") or "0"
    is_huge = len(significant) > len(str(MAX_OFFSET))  # and perhaps longer than Python reads
    number = MAX_OFFSET + 1 if is_huge else int(significant)
    return number if text == digits else -number
