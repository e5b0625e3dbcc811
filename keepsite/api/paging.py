"""Lists: ``limit`` and ``offset`` in, ``total``, ``next`` and ``previous`` out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Model, QuerySet
from rest_framework.request import Request

from keepsite.api.context import context_of

M = TypeVar("M", bound=Model)
MAX_OFFSET = 2**31 - 1  # beyond it: as if none were given


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
) -> dict[str, Any]:  # Any: JSON values
    """One page of ``rows`` as the contract wraps it; two SQL statements, whatever its size.

    ``path`` is what follows ``/v1/``; ``show`` turns the rows of the page into JSON.
    Links keep every other parameter of the query.
    """
    page = Page.of(request)
    total = rows.count()
    shown = show(list(rows[page.offset : page.offset + page.limit])) if page.offset < total else []
    body: dict[str, Any] = {plural: shown, "total": total}
    if not shown:
        return body
    if total > page.offset + page.limit:
        body["next"] = _link(request, path, limit=page.limit, offset=page.offset + page.limit)
    if page.offset > 0:
        body["previous"] = _link(request, path, limit=page.limit, offset=max(0, page.offset - page.limit))
    return body


def _link(request: Request, path: str, *, limit: int, offset: int) -> str:
    kept = [(name, value) for name, value in request.GET.items() if name not in {"limit", "offset"}]
    query = urlencode([("limit", limit), ("offset", offset), *kept])
    return f"{context_of(request).base_href}/v1/{path}?{query}"


def _number(text: str) -> int | None:
    text = text.strip()
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) < 20 else None  # noqa: PLR2004  # 64 bits
