"""Filters of the list of audit records."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from keepsite.readonly import ChoiceFilter, FromDayFilter, ProjectFilter, ToDayFilter
from keepsite.trail.models import AuditChain
from keepsite.trail.reading import UNREADABLE
from keepsite.translation import gettext_lazy

Rows = QuerySet[Any]  # Any: audit records
OPERATORS = ("console", "command", "promotion")
REFUSED = Q(outcome__in=("401", "403"))


class WhatFilter(ChoiceFilter):
    """What sort of thing was done."""

    title = gettext_lazy("what")
    parameter_name = "what"
    options = (
        ("operators", gettext_lazy("acts of operators")),
        ("console", gettext_lazy("acts in the console")),
        ("workers", gettext_lazy("acts of workers")),
        ("reads", gettext_lazy("reads of payloads")),
        ("calls", gettext_lazy("calls of the API")),
        ("unreadable", gettext_lazy("lines that are no records")),
    )
    meanings: ClassVar[dict[str, Q]] = {
        "operators": Q(kind="act", method__in=OPERATORS),
        "console": Q(kind="act", method="console"),
        "workers": Q(kind="act", method="worker"),
        "reads": Q(action="payload.read"),
        "calls": Q(kind="api"),
        "unreadable": Q(kind=UNREADABLE),
    }

    def chosen(self, rows: Rows, choice: str) -> Rows:
        """By kind, method or action."""
        return rows.filter(self.meanings[choice])


class OutcomeFilter(ChoiceFilter):
    """How it ended."""

    title = gettext_lazy("outcome")
    parameter_name = "outcome"
    options = (
        ("done", gettext_lazy("done")),
        ("refused", gettext_lazy("refused: 401, 403")),
        ("client", gettext_lazy("other fault of the caller: 4xx")),
        ("failed", gettext_lazy("failed: 5xx")),
    )
    meanings: ClassVar[dict[str, Q]] = {
        "done": Q(outcome="done") | Q(outcome__startswith="2"),
        "refused": REFUSED,
        "client": Q(outcome__startswith="4") & ~REFUSED,
        "failed": Q(outcome__startswith="5"),
    }

    def chosen(self, rows: Rows, choice: str) -> Rows:
        """By what acts say and by the status of calls."""
        return rows.filter(self.meanings[choice])


class WhenFilter(ChoiceFilter):
    """How long ago."""

    title = gettext_lazy("time")
    parameter_name = "when"
    options = (
        ("hour", gettext_lazy("in the past hour")),
        ("day", gettext_lazy("in the past 24 hours")),
        ("week", gettext_lazy("in the past 7 days")),
        ("month", gettext_lazy("in the past 30 days")),
        ("before_month", gettext_lazy("more than 30 days ago")),
    )
    ages: ClassVar[dict[str, timedelta]] = {
        "hour": timedelta(hours=1),
        "day": timedelta(days=1),
        "week": timedelta(days=7),
        "month": timedelta(days=30),
    }

    def chosen(self, rows: Rows, choice: str) -> Rows:
        """By the record's own time."""
        now = timezone.now()
        if choice in self.ages:
            return rows.filter(at__gte=now - self.ages[choice])
        return rows.filter(at__lt=now - self.ages["month"])


class FromFilter(FromDayFilter):
    """By the record's own time."""

    column = "at"


class ToFilter(ToDayFilter):
    """By the record's own time."""

    column = "at"


class NodeFilter(ChoiceFilter):
    """On which node."""

    title = gettext_lazy("node")
    parameter_name = "node"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:  # noqa: ARG002  # Any: Django's
        """Nodes whose files were collected."""
        nodes = AuditChain.objects.order_by("node").values_list("node", flat=True).distinct()
        return [(node, node) for node in nodes]


class OfProjectFilter(ProjectFilter):
    """Of which project."""

    paths = ("project",)
