from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from keepsite import audit
from keepsite.acts import Act, ActingAdmin, Outcome
from keepsite.acts.act import Rows
from keepsite.console.approvals import ActRequestAdmin
from keepsite.console.lockouts import LockoutAdmin
from keepsite.console.models import OneTimePassword
from keepsite.errors import NotAllowed
from keepsite.operators import second_factor
from keepsite.readonly import (
    Detail,
    EmptyState,
    Fact,
    Section,
    StateFilter,
    Tone,
    moment,
    pill,
    relative,
    text,
)

__all__ = ["ActRequestAdmin", "LockoutAdmin", "OperatorAdmin"]  # Django looks for them here


class RemoveSecondFactor(Act):
    """Let an operator in whose phone is lost."""

    name = "remove-second-factor"
    label = "Remove second factor"
    permission = "operators.remove_authenticator"
    tone = Tone.BAD
    is_destructive = True

    def applies_to(self, row: Any, *, now: datetime) -> bool:  # noqa: ARG002  # Any: a User with the annotation below
        """There must be one."""
        return row.second_factor_since is not None

    def title(self, rows: Rows) -> str:
        """What the page asks."""
        return f"Remove the second factor of {rows[0]}"

    def lead(self, rows: Rows) -> str:
        """What that means."""
        return (
            f"From then on the password of {rows[0]} alone opens the console, until they set up another. Make"
            " sure that it is they who ask: a call can be anybody's."
        )

    def perform(
        self, rows: Rows, *, actor: audit.Actor, wanted: dict[str, Any]
    ) -> Outcome:  # Any: form values
        """Durable on return."""
        (operator,) = rows
        if operator.get_username() == actor.user_id:
            raise NotAllowed("Remove your own under Second factor, at the top: it asks for a code.")
        second_factor.remove(operator, actor=actor, reason=wanted["reason"])
        return Outcome(done=f"The second factor of {operator} is removed.")


@admin.register(User)
class OperatorAdmin(ActingAdmin):
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
    acts = (RemoveSecondFactor(),)
    list_display = ("username", "state", "roles", "factor", "seen", "made")
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
        """Operators, whether each still has the password they were given, and since when a second factor."""
        operators: QuerySet[User] = super().get_queryset(request)
        given = OneTimePassword.objects.filter(user=OuterRef("pk"))
        return operators.annotate(
            has_one_time_password=Exists(given), second_factor_since=F("authenticator__enrolled_at")
        ).prefetch_related("groups")

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
                        Fact(
                            label="Second factor",
                            value=relative(row.second_factor_since, now=now, absent="not set up"),  # type: ignore[attr-defined]  # annotated
                            note="Operators set it up themselves.",
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

    @admin.display(description="second factor")
    def factor(self, operator: Any) -> SafeString:  # Any: a User with the annotation above
        """Whether a password alone opens the console."""
        is_set_up = operator.second_factor_since is not None
        return pill("Set up", Tone.GOOD) if is_set_up else pill("None", Tone.QUIET)

    @admin.display(description="last log-in", ordering="last_login")
    def seen(self, operator: User) -> SafeString:
        """When they were last here."""
        return moment(operator.last_login)

    @admin.display(description="made", ordering="date_joined")
    def made(self, operator: User) -> SafeString:
        """Since when."""
        return moment(operator.date_joined)
