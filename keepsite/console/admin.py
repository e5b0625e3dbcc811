from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

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
from keepsite.translation import gettext_lazy

__all__ = ["ActRequestAdmin", "LockoutAdmin", "OperatorAdmin"]  # Django looks for them here


class RemoveSecondFactor(Act):
    """Let an operator in whose phone is lost."""

    name = "remove-second-factor"
    label = gettext_lazy("Remove second factor")
    permission = "operators.remove_authenticator"
    tone = Tone.BAD
    is_destructive = True

    def applies_to(self, row: Any, *, now: datetime) -> bool:  # noqa: ARG002  # Any: a User with the annotation below
        """There must be one."""
        return row.second_factor_since is not None

    def title(self, rows: Rows) -> str:
        """What the page asks."""
        return _("Remove the second factor of %(row)s") % {"row": rows[0]}

    def lead(self, rows: Rows) -> str:
        """What that means."""
        return _(
            "From then on the password of %(row)s alone opens the console, until they set up"
            " another. Make sure that it is they who ask: a call can be anybody's."
        ) % {"row": rows[0]}

    def perform(
        self, rows: Rows, *, actor: audit.Actor, wanted: dict[str, Any]
    ) -> Outcome:  # Any: form values
        """Durable on return."""
        (operator,) = rows
        if operator.get_username() == actor.user_id:
            raise NotAllowed(_("Remove your own under Second factor, at the top: it asks for a code."))
        second_factor.remove(operator, actor=actor, reason=wanted["reason"])
        return Outcome(done=_("The second factor of %(operator)s is removed.") % {"operator": operator})


@admin.register(User)
class OperatorAdmin(ActingAdmin):
    """Who may use the console; `manage.py operator` makes them."""

    title = gettext_lazy("Operator")
    title_plural = gettext_lazy("Operators")
    lead = gettext_lazy(
        "People who may use this console. The command manage.py operator makes them and resets passwords."
    )
    empty = EmptyState(
        sentence=gettext_lazy("There is no operator."),
        commands=("manage.py operator create --username NAME",),
    )
    state_words: ClassVar = {
        "active": gettext_lazy("active"),
        "first": gettext_lazy("with a one-time password"),
        "disabled": gettext_lazy("disabled"),
    }
    acts = (RemoveSecondFactor(),)
    list_display = ("username", "state", "roles", "factor", "seen", "made")
    column_words: ClassVar = {"username": gettext_lazy("username")}
    list_filter = (StateFilter,)
    search_fields = ("username",)
    search_help_text = gettext_lazy("Part of a name")
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
                    title=_("Access"),
                    facts=(
                        Fact(
                            label=_("Roles"),
                            value=self.roles(row),
                            note=_("Set by manage.py operator roles; they hold from the next click on."),
                        ),
                        Fact(
                            label=_("Second factor"),
                            value=relative(row.second_factor_since, now=now, absent=_("not set up")),  # type: ignore[attr-defined]  # annotated
                            note=_("Operators set it up themselves."),
                        ),
                        Fact(label=_("Last log-in"), value=relative(row.last_login, now=now)),
                        Fact(label=_("Made"), value=relative(row.date_joined, now=now)),
                    ),
                    note=_("A lost password: manage.py operator reset --username NAME prints a new one."),
                ),
            ),
        )

    @admin.display(description=gettext_lazy("state"))
    def state(self, operator: Any) -> SafeString:  # Any: a User with the annotation above
        """Whether they can log in."""
        if not operator.is_active:
            return pill(_("Disabled"), Tone.QUIET)
        if operator.has_one_time_password:
            return pill(_("One-time password"), Tone.WAITING)
        return pill(_("Active"), Tone.GOOD)

    @admin.display(description=gettext_lazy("roles"))
    def roles(self, operator: User) -> SafeString | str:
        """What they may do."""
        if operator.is_superuser:
            return _("all rights")
        return text(", ".join(sorted(group.name for group in operator.groups.all())))

    @admin.display(description=gettext_lazy("second factor"))
    def factor(self, operator: Any) -> SafeString:  # Any: a User with the annotation above
        """Whether a password alone opens the console."""
        is_set_up = operator.second_factor_since is not None
        return pill(_("Set up"), Tone.GOOD) if is_set_up else pill(_("None"), Tone.QUIET)

    @admin.display(description=gettext_lazy("last log-in"), ordering="last_login")
    def seen(self, operator: User) -> SafeString:
        """When they were last here."""
        return moment(operator.last_login)

    @admin.display(description=gettext_lazy("made"), ordering="date_joined")
    def made(self, operator: User) -> SafeString:
        """Since when."""
        return moment(operator.date_joined)
