"""Who has been locked out, and letting them in again."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Q
from django.utils import timezone
from django.utils.safestring import SafeString

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

KINDS = {
    Lockout.Kind.ACCOUNT: "account",
    Lockout.Kind.ADDRESS: "address",
    Lockout.Kind.BROWSER: "known browser",
}


class Release(Act):
    """Forget wrong passwords and codes, so that the next try is looked at."""

    name = "release"
    label = "Release"
    permission = "operators.release_lockout"
    scope = "many"

    def title(self, rows: Rows) -> str:
        """What the page asks."""
        return f"Release {rows[0]}" if len(rows) == 1 else f"Release {len(rows)} lock-outs"

    def lead(self, rows: Rows) -> str:  # noqa: ARG002  # the same for all
        """What that means."""
        return "What was counted is forgotten: the next password or code is looked at again."

    def perform(
        self, rows: Rows, *, actor: audit.Actor, wanted: dict[str, Any]
    ) -> Outcome:  # Any: form values
        """Durable on return."""
        count = lockout.release(rows, actor=actor, reason=wanted["reason"])
        return Outcome(done="1 lock-out is released." if count == 1 else f"{count} lock-outs are released.")


class KindFilter(ChoiceFilter):
    """Whose attempts are counted together."""

    title = "counted for"
    parameter_name = "kind"
    options = tuple((kind.value, word) for kind, word in KINDS.items())


@admin.register(Lockout)
class LockoutAdmin(ActingAdmin):
    """Wrong passwords and codes, by account, address and known browser."""

    title = "Lock-out"
    title_plural = "Lock-outs"
    lead = "Wrong passwords and codes, and whom they lock out for a while."
    empty = EmptyState(sentence="Nobody has given a wrong password or code in the past day.")
    state_words: ClassVar = {"locked": "locked now", "counted": "counted, not locked"}
    acts = (Release(),)
    list_display = ("name", "state", "counted_for", "failures", "locks", "last_at", "until")
    list_filter = (StateFilter, KindFilter)
    search_fields = ("label",)
    search_help_text = "Part of a name or address"
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
                    title="What was counted",
                    facts=(
                        Fact(label="Counted for", value=self.counted_for(row)),
                        Fact(label="Wrong since the last lock", value=text(row.failures)),
                        Fact(
                            label="Locks",
                            value=text(row.locks),
                            note="Each lasts twice as long as the one before.",
                        ),
                        Fact(label="Last one", value=relative(row.last_failed_at, now=now)),
                        Fact(
                            label="Locked until",
                            value=relative(row.locked_until, now=now, absent="not locked"),
                        ),
                    ),
                    note="A day without failure, and all of it is forgotten.",
                ),
            ),
        )

    @admin.display(description="who", ordering="label")
    def name(self, row: Lockout) -> SafeString:
        """The operator or the address; names that nobody has are not kept."""
        return breakable(str(row))

    @admin.display(description="state")
    def state(self, row: Lockout) -> SafeString:
        """Whether the next try is looked at."""
        is_locked = row.locked_until is not None and row.locked_until > timezone.now()
        return pill("Locked", Tone.BAD) if is_locked else pill("Not locked", Tone.QUIET)

    @admin.display(description="counted for", ordering="kind")
    def counted_for(self, row: Lockout) -> str:
        """Whose attempts are counted together."""
        return KINDS[Lockout.Kind(row.kind)]

    @admin.display(description="last one", ordering="last_failed_at")
    def last_at(self, row: Lockout) -> SafeString:
        """When it went wrong last."""
        return moment(row.last_failed_at)

    @admin.display(description="locked until", ordering="locked_until")
    def until(self, row: Lockout) -> SafeString:
        """When the lock ends by itself."""
        return moment(row.locked_until, absent="not locked")
