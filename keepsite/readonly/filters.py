from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

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

    title = "state"
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

    title = "created"
    parameter_name = "created"
    options = (
        ("day", "in the past 24 hours"),
        ("week", "in the past 7 days"),
        ("month", "in the past 30 days"),
    )
    ages: ClassVar[dict[str, timedelta]] = {
        "day": timedelta(days=1),
        "week": timedelta(days=7),
        "month": timedelta(days=30),
    }

    def chosen(self, rows: Rows, choice: str) -> Rows:
        """Rows made since then."""
        return rows.filter(created_at__gte=timezone.now() - self.ages[choice])


class ProjectFilter(ChoiceFilter):
    """One project, by the id clients use; pages link to it, since a box of all projects could be endless."""

    title = "project"
    parameter_name = "project"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:  # noqa: ARG002  # Any: Django's
        """The project that was asked for, if one was."""
        chosen = self.value()
        return [(chosen, chosen)] if chosen else []

    def chosen(self, rows: Rows, choice: str) -> Rows:
        """Rows of that project."""
        return rows.filter(project__external_id=choice)
