from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from keepsite.console.models import OneTimePassword
from keepsite.readonly import (
    Detail,
    EmptyState,
    Fact,
    ReadOnlyAdmin,
    Section,
    StateFilter,
    Tone,
    moment,
    pill,
    relative,
    text,
)


@admin.register(User)
class OperatorAdmin(ReadOnlyAdmin):
    """Who may use the console; `manage.py operator` makes them."""

    title = "Operator"
    title_plural = "Operators"
    lead = "People who may use this console. The command manage.py operator makes them and resets passwords."
    empty = EmptyState(
        sentence="There is no operator.", commands=("manage.py operator create --username NAME",)
    )
    state_words: ClassVar = {
        "active": "active",
        "first": "with a one-time password",
        "disabled": "disabled",
    }
    list_display = ("username", "state", "roles", "seen", "made")
    list_filter = (StateFilter,)
    search_fields = ("username",)
    search_help_text = "Part of a name"
    ordering = ("username",)
    unseen = ("password",)

    def states(self, now: datetime) -> Mapping[str, Q]:  # noqa: ARG002  # they do not change with time
        """Whether they can log in."""
        return {
            "active": Q(is_active=True, has_one_time_password=False),
            "first": Q(is_active=True, has_one_time_password=True),
            "disabled": Q(is_active=False),
        }

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """Operators, and whether each still has the password they were given."""
        operators: QuerySet[User] = super().get_queryset(request)
        given = OneTimePassword.objects.filter(user=OuterRef("pk"))
        return operators.annotate(has_one_time_password=Exists(given)).prefetch_related("groups")

    def detail(self, row: User, *, now: datetime) -> Detail:
        """When they came and were last here."""
        return Detail(
            kind=self.title,
            title=row.username,
            state=self.state(row),
            sections=(
                Section(
                    title="Access",
                    facts=(
                        Fact(
                            label="Roles",
                            value=self.roles(row),
                            note="Set by manage.py operator roles; they hold from the next click on.",
                        ),
                        Fact(label="Last log-in", value=relative(row.last_login, now=now)),
                        Fact(label="Made", value=relative(row.date_joined, now=now)),
                    ),
                    note="A lost password: manage.py operator reset --username NAME prints a new one.",
                ),
            ),
        )

    @admin.display(description="state")
    def state(self, operator: Any) -> SafeString:  # Any: a User with the annotation above
        """Whether they can log in."""
        if not operator.is_active:
            return pill("Disabled", Tone.QUIET)
        if operator.has_one_time_password:
            return pill("One-time password", Tone.WAITING)
        return pill("Active", Tone.GOOD)

    @admin.display(description="roles")
    def roles(self, operator: User) -> SafeString | str:
        """What they may do."""
        if operator.is_superuser:
            return "all rights"
        return text(", ".join(sorted(group.name for group in operator.groups.all())))

    @admin.display(description="last log-in (UTC)", ordering="last_login")
    def seen(self, operator: User) -> SafeString:
        """When they were last here."""
        return moment(operator.last_login)

    @admin.display(description="made (UTC)", ordering="date_joined")
    def made(self, operator: User) -> SafeString:
        """Since when."""
        return moment(operator.date_joined)
