"""Who has been locked out, and letting them in again."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Q
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from keepsite import audit
from keepsite.acts import Act, ActingAdmin, Outcome
from keepsite.acts.act import Rows
from keepsite.operators import lockout
from keepsite.operators.models import Lockout
from keepsite.readonly import (
    ChoiceFilter,
    Detail,
    EmptyState,
    Fact,
    Section,
    StateFilter,
    Tone,
    breakable,
    moment,
    pill,
    relative,
    text,
)
from keepsite.translation import gettext_lazy

KINDS = {
    Lockout.Kind.ACCOUNT: gettext_lazy("account"),
    Lockout.Kind.ADDRESS: gettext_lazy("address"),
    Lockout.Kind.BROWSER: gettext_lazy("known browser"),
}


class Release(Act):
    """Forget wrong passwords and codes, so that the next try is looked at."""

    name = "release"
    label = gettext_lazy("Release")
    permission = "operators.release_lockout"
    scope = "many"

    def title(self, rows: Rows) -> str:
        """What the page asks."""
        return (
            _("Release %(row)s") % {"row": rows[0]}
            if len(rows) == 1
            else ngettext("Release %(count)s lock-outs", "Release %(count)s lock-outs", len(rows))
            % {"count": len(rows)}
        )

    def lead(self, rows: Rows) -> str:  # noqa: ARG002  # the same for all
        """What that means."""
        return _("What was counted is forgotten: the next password or code is looked at again.")

    def perform(
        self, rows: Rows, *, actor: audit.Actor, wanted: dict[str, Any]
    ) -> Outcome:  # Any: form values
        """Durable on return."""
        count = lockout.release(rows, actor=actor, reason=wanted["reason"])
        return Outcome(
            done=ngettext("1 lock-out is released.", "%(count)s lock-outs are released.", count)
            % {"count": count}
        )


class KindFilter(ChoiceFilter):
    """Whose attempts are counted together."""

    title = gettext_lazy("counted for")
    parameter_name = "kind"
    options = tuple((kind.value, word) for kind, word in KINDS.items())


@admin.register(Lockout)
class LockoutAdmin(ActingAdmin):
    """Wrong passwords and codes, by account, address and known browser."""

    title = gettext_lazy("Lock-out")
    title_plural = gettext_lazy("Lock-outs")
    lead = gettext_lazy("Wrong passwords and codes, and whom they lock out for a while.")
    empty = EmptyState(sentence=gettext_lazy("Nobody has given a wrong password or code in the past day."))
    state_words: ClassVar = {
        "locked": gettext_lazy("locked now"),
        "counted": gettext_lazy("counted, not locked"),
    }
    acts = (Release(),)
    list_display = ("name", "state", "counted_for", "failures", "locks", "last_at", "until")
    column_words: ClassVar = {"failures": gettext_lazy("failures"), "locks": gettext_lazy("locks")}
    list_filter = (StateFilter, KindFilter)
    search_fields = ("label",)
    search_help_text = gettext_lazy("Part of a name or address")
    ordering = ("-last_failed_at", "key")
    number_columns = frozenset({"failures", "locks"})

    def states(self, now: datetime) -> Mapping[str, Q]:
        """Whether the next try is looked at."""
        locked = Q(locked_until__gt=now)
        return {"locked": locked, "counted": ~locked}

    def detail(self, row: Lockout, *, now: datetime) -> Detail:
        """What was counted."""
        return Detail(
            kind=self.title,
            title=str(row),
            state=self.state(row),
            sections=(
                Section(
                    title=_("What was counted"),
                    facts=(
                        Fact(label=_("Counted for"), value=self.counted_for(row)),
                        Fact(label=_("Wrong since the last lock"), value=text(row.failures)),
                        Fact(
                            label=_("Locks"),
                            value=text(row.locks),
                            note=_("Each lasts twice as long as the one before."),
                        ),
                        Fact(label=_("Last one"), value=relative(row.last_failed_at, now=now)),
                        Fact(
                            label=_("Locked until"),
                            value=relative(row.locked_until, now=now, absent=_("not locked")),
                        ),
                    ),
                    note=_("A day without failure, and all of it is forgotten."),
                ),
            ),
        )

    @admin.display(description=gettext_lazy("who"), ordering="label")
    def name(self, row: Lockout) -> SafeString:
        """The operator or the address; names that nobody has are not kept."""
        return breakable(str(row))

    @admin.display(description=gettext_lazy("state"))
    def state(self, row: Lockout) -> SafeString:
        """Whether the next try is looked at."""
        is_locked = row.locked_until is not None and row.locked_until > timezone.now()
        return pill(_("Locked"), Tone.BAD) if is_locked else pill(_("Not locked"), Tone.QUIET)

    @admin.display(description=gettext_lazy("counted for"), ordering="kind")
    def counted_for(self, row: Lockout) -> str:
        """Whose attempts are counted together."""
        return KINDS[Lockout.Kind(row.kind)]

    @admin.display(description=gettext_lazy("last one"), ordering="last_failed_at")
    def last_at(self, row: Lockout) -> SafeString:
        """When it went wrong last."""
        return moment(row.last_failed_at)

    @admin.display(description=gettext_lazy("locked until"), ordering="locked_until")
    def until(self, row: Lockout) -> SafeString:
        """When the lock ends by itself."""
        return moment(row.locked_until, absent=_("not locked"))
