"""Filters of the list of audit records."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from keepsite.readonly import ChoiceFilter, ProjectFilter
from keepsite.trail.models import AuditChain
from keepsite.trail.reading import UNREADABLE

Rows = QuerySet[Any]  # Any: audit records
OPERATORS = ("console", "command", "promotion")


class WhatFilter(ChoiceFilter):
    """What sort of thing was done."""

    title = "what"
    parameter_name = "what"
    options = (
        ("operators", "acts of operators"),
        ("console", "acts in the console"),
        ("workers", "acts of workers"),
        ("reads", "reads of payloads"),
        ("calls", "calls of the API"),
        ("unreadable", "lines that are no records"),
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

    title = "outcome"
    parameter_name = "outcome"
    options = (
        ("done", "done"),
        ("refused", "refused: 401, 403"),
        ("client", "other fault of the caller: 4xx"),
        ("failed", "failed: 5xx"),
    )

    def chosen(self, rows: Rows, choice: str) -> Rows:
        """Acts say "done", calls have a status."""
        refused = Q(outcome__in=("401", "403"))
        match choice:
            case "done":
                return rows.filter(Q(outcome="done") | Q(outcome__startswith="2"))
            case "refused":
                return rows.filter(refused)
            case "client":
                return rows.filter(Q(outcome__startswith="4") & ~refused)
            case _:
                return rows.filter(outcome__startswith="5")


class WhenFilter(ChoiceFilter):
    """How long ago."""

    title = "time"
    parameter_name = "when"
    options = (
        ("hour", "in the past hour"),
        ("day", "in the past 24 hours"),
        ("week", "in the past 7 days"),
        ("month", "in the past 30 days"),
        ("before_month", "more than 30 days ago"),
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


class NodeFilter(ChoiceFilter):
    """On which node."""

    title = "node"
    parameter_name = "node"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:  # noqa: ARG002  # Any: Django's
        """Nodes whose files were collected."""
        nodes = AuditChain.objects.order_by("node").values_list("node", flat=True).distinct()
        return [(node, node) for node in nodes]


class OfProjectFilter(ProjectFilter):
    """Of which project."""

    paths = ("project",)
