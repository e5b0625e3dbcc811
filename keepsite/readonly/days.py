"""Filters by a day that operators type: a whole one, in the zone that their dates are shown in."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from keepsite.translation import gettext_lazy

Rows = QuerySet[Any]  # Any: a filter serves lists of several models


class DayFilter(admin.SimpleListFilter):
    """The first or the last day of what is listed, shown as a field to type it in."""

    column: ClassVar[str] = "created_at"

    def lookups(self, request: HttpRequest, model_admin: Any) -> tuple[()]:  # noqa: ARG002  # Any: Django's
        """None: it is typed."""
        return ()

    def has_output(self) -> bool:
        """It is always offered."""
        return True

    def value(self) -> str | None:
        """What was typed; an empty field asks for nothing."""
        return (super().value() or "").strip() or None

    def fault(self) -> str:
        """Why what was typed cannot be meant, in words; empty if it can."""
        typed = self.value()
        if typed is None or _is_day(typed):
            return ""
        return _("“%(typed)s” is no day. Write it like 2026-01-31.") % {"typed": typed}

    def queryset(self, request: HttpRequest, rows: Rows) -> Rows:  # noqa: ARG002  # Django's signature
        """The rows that the day leaves; all of them for none, none for what cannot be meant."""
        typed = self.value()
        if typed is None:
            return rows
        return rows.none() if self.fault() else self.narrowed(rows, typed)

    def narrowed(self, rows: Rows, typed: str) -> Rows:
        """The rows that the day leaves."""
        raise NotImplementedError  # not abstract: Django's filters leave no room for ABC


class FromDayFilter(DayFilter):
    """The first day."""

    title = gettext_lazy("from day")
    parameter_name = "from"

    def narrowed(self, rows: Rows, typed: str) -> Rows:
        """From its beginning on."""
        return rows.filter(**{f"{self.column}__gte": _bounds(typed)[0]})


class ToDayFilter(DayFilter):
    """The last day."""

    title = gettext_lazy("to day")
    parameter_name = "to"

    def fault(self) -> str:
        """Also that it comes before the first one."""
        first, last = self.request.GET.get(FromDayFilter.parameter_name, "").strip(), self.value() or ""
        if _is_day(first) and _is_day(last) and last < first:
            return _("This day comes before the first one.")
        return super().fault()

    def narrowed(self, rows: Rows, typed: str) -> Rows:
        """Up to its end."""
        return rows.filter(**{f"{self.column}__lt": _bounds(typed)[1]})


def _bounds(typed: str) -> tuple[datetime, datetime]:
    """When the day begins and when the next one does, in the current zone; ValueError if it is none."""
    day = date.fromisoformat(typed)
    if day.isoformat() != typed:  # other ways that ISO 8601 has, which the field would not show
        raise ValueError(typed)
    try:
        first, last = (
            timezone.make_aware(datetime.combine(one, time())).astimezone(UTC)
            for one in (day, day + timedelta(days=1))
        )
    except OverflowError as error:  # the first and the last that there is
        raise ValueError(typed) from error
    return first, last


def _is_day(typed: str) -> bool:
    try:
        _bounds(typed)
    except ValueError:
        return False
    return True
