from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from keepsite.translation import gettext_lazy

Rows = QuerySet[Any]  # Any: a filter serves lists of several models


class ChoiceFilter(admin.SimpleListFilter):
    """A filter of one choice among a few, shown as a select box beside the search."""

    options: ClassVar[Sequence[tuple[str, str]]] = ()

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:  # noqa: ARG002  # Any: Django's
        """The choices, each with its words."""
        return self.options

    def value(self) -> str | None:
        """What was asked for; the box sends an empty text for everything."""
        return super().value() or None

    def queryset(self, request: HttpRequest, rows: Rows) -> Rows:  # noqa: ARG002  # Django's signature
        """The rows of the choice; all of them for none, none for a choice that does not exist."""
        choice = self.value()
        if choice is None:
            return rows
        known = {str(value) for value, _ in self.lookup_choices}
        return self.chosen(rows, choice) if choice in known else rows.none()

    def chosen(self, rows: Rows, choice: str) -> Rows:
        """The rows that ``choice`` means; by default those whose column of the filter's name has it."""
        return rows.filter(**{str(self.parameter_name): choice})


class StateFilter(ChoiceFilter):
    """The states that the list's admin declares."""

    title = gettext_lazy("state")
    parameter_name = "state"

    def __init__(
        self, request: HttpRequest, params: Any, model: Any, model_admin: Any
    ) -> None:  # Any: Django's
        self._admin = model_admin
        super().__init__(request, params, model, model_admin)

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:  # noqa: ARG002  # Any: Django's
        """The states, each with its words."""
        return list(model_admin.state_words.items())

    def chosen(self, rows: Rows, choice: str) -> Rows:
        """Rows in that state now."""
        return rows.filter(self._admin.states(timezone.now())[choice])


class CreatedFilter(ChoiceFilter):
    """How old a row is."""

    title = gettext_lazy("created")
    parameter_name = "created"
    options: ClassVar[Sequence[tuple[str, str]]] = (
        ("day", gettext_lazy("in the past 24 hours")),
        ("week", gettext_lazy("in the past 7 days")),
        ("month", gettext_lazy("in the past 30 days")),
        ("before_month", gettext_lazy("more than 30 days ago")),
        ("before_quarter", gettext_lazy("more than 90 days ago")),
        ("before_year", gettext_lazy("more than a year ago")),
    )
    younger: ClassVar[dict[str, timedelta]] = {
        "day": timedelta(days=1),
        "week": timedelta(days=7),
        "month": timedelta(days=30),
    }
    older: ClassVar[dict[str, timedelta]] = {
        "before_month": timedelta(days=30),
        "before_quarter": timedelta(days=90),
        "before_year": timedelta(days=365),
    }

    def chosen(self, rows: Rows, choice: str) -> Rows:
        """Rows made since then, or before."""
        now = timezone.now()
        if choice in self.younger:
            return rows.filter(created_at__gte=now - self.younger[choice])
        return rows.filter(created_at__lt=now - self.older[choice])


class ExpiringFilter(ChoiceFilter):
    """How soon a row expires."""

    title = gettext_lazy("expires")
    parameter_name = "expiring"
    options = (
        ("7", gettext_lazy("within 7 days")),
        ("14", gettext_lazy("within 14 days")),
        ("30", gettext_lazy("within 30 days")),
        ("90", gettext_lazy("within 90 days")),
        ("never", gettext_lazy("never")),
    )

    def chosen(self, rows: Rows, choice: str) -> Rows:
        """Rows that expire from now on until then; those that have expired are not among them."""
        if choice == "never":
            return rows.filter(expires_at=None)
        now = timezone.now()
        return rows.filter(expires_at__gt=now, expires_at__lte=now + timedelta(days=int(choice)))


class ProjectFilter(ChoiceFilter):
    """One project, by the id clients use; pages link to it, since a box of all projects could be endless."""

    title = gettext_lazy("project")
    parameter_name = "project"
    paths: ClassVar[tuple[str, ...]] = ("project__external_id",)  # any of them

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:  # noqa: ARG002  # Any: Django's
        """The project that was asked for, if one was."""
        chosen = self.value()
        return [(chosen, chosen)] if chosen else []

    def chosen(self, rows: Rows, choice: str) -> Rows:
        """Rows of that project."""
        theirs = Q()
        for path in self.paths:
            theirs |= Q(**{path: choice})
        return rows.filter(theirs)
