"""Notices and the messages about them, in the console."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from keepsite import audit
from keepsite.acts import Act, ActingAdmin, Outcome
from keepsite.acts.act import Rows, one_by_one
from keepsite.notices import services
from keepsite.notices.models import OPEN, Message, Notice, Urgency
from keepsite.notices.sending import ATTEMPTS
from keepsite.readonly import (
    ChoiceFilter,
    Detail,
    EmptyState,
    Fact,
    ReadOnlyAdmin,
    Section,
    StateFilter,
    Tone,
    breakable,
    code,
    link,
    missing,
    moment,
    pill,
    relative,
    text,
)

# What each kind is, and what to do about it.
KINDS: dict[str, tuple[str, str]] = {
    "secrets-expire": ("Secrets expire", "Tell the project: who reads them fails once they have expired."),
    "api-key-expires": ("API key expires", "Make another for its client, then let this one go."),
    "pkeks-due": ("pKEKs due", "Rotate them, then re-encrypt payloads; nothing is urgent about it."),
    "quota-near": ("Quota near", "Ask the project to delete what it does not need, or set a higher quota."),
    "orders-stuck": ("Orders stuck", "See that workers and the order relay run, and that the HSM answers."),
    "dead-letters": ("Dead letters", "Replay or discard each; a newer release may know what it asks for."),
    "hsm-member-down": (
        "HSM member down",
        "hsm_check says what is wrong with it; the other members serve meanwhile.",
    ),
    "node-lost": ("Node lost", "Look at the host. If it is gone for good, forget it."),
    "promotion-stopped": ("Promotion stopped", "Mend what it names and resume, or roll back."),
    "audit-not-whole": ("Audit trail not whole", "Do not repair. docs/operators/audit.md says what to do."),
    "approval-waiting": ("Approval waiting", "Approve or refuse it, unless you asked for it."),
    "emergency": ("Done in an emergency", "Look into it with who did it, and acknowledge it."),
    "messages-given-up": (
        "Messages not sent",
        "`manage.py notices test` says whether the channel works now.",
    ),
}


class Acknowledge(Act):
    """Say that somebody looks after it."""

    name = "acknowledge"
    label = "Acknowledge"
    permission = "notices.acknowledge_notice"
    scope = "many"

    def applies_to(self, row: Notice, *, now: datetime) -> bool:  # noqa: ARG002  # the row says it
        """It is open, and nobody has."""
        return bool(row.open_marker) and not row.acknowledged_by

    def title(self, rows: Rows) -> str:
        """What the page asks."""
        return "Acknowledge this notice" if len(rows) == 1 else f"Acknowledge {len(rows)} notices"

    def lead(self, rows: Rows) -> str:  # noqa: ARG002  # the same for all
        """What that means."""
        return (
            "It says that you look after it: it is not told of again, and leaves the overview. It is resolved"
            " by itself when its cause is gone."
        )

    def facts(self, rows: Rows) -> tuple[Fact, ...]:
        """Which."""
        return tuple(Fact(label=kind_words(row), value=row.text) for row in rows)

    def perform(self, rows: Rows, *, actor: audit.Actor, wanted: dict[str, Any]) -> Outcome:  # Any: a form
        """Each by itself."""
        done, refused = one_by_one(
            rows, lambda row: services.acknowledge(row, actor=actor, reason=wanted["reason"])
        )
        words = "The notice is" if done == 1 else f"{done} notices are"
        return Outcome(done=f"{words} acknowledged." if done else "", refused=refused)


class KindFilter(ChoiceFilter):
    """What it is about."""

    title = "kind"
    parameter_name = "kind"
    options = tuple((kind, words) for kind, (words, _) in KINDS.items())


class UrgencyFilter(ChoiceFilter):
    """How soon somebody should look."""

    title = "urgency"
    parameter_name = "urgency"
    options = tuple((str(value), label) for value, label in Urgency.choices)


@admin.register(Notice)
class NoticeAdmin(ActingAdmin):
    """What operators should look at, the open ones first."""

    title = "Notice"
    title_plural = "Notices"
    lead = "What somebody should look at. A notice is resolved by itself when its cause is gone."
    empty = EmptyState(
        sentence="Nothing has needed anybody's attention yet. A worker looks every minute; to look now:",
        commands=("manage.py notices find",),
    )
    state_words: ClassVar = {
        "open": "open",
        "acknowledged": "acknowledged, not resolved",
        "resolved": "resolved",
    }
    list_display = ("about", "state", "raised", "acknowledged", "resolved")
    list_filter = (StateFilter, KindFilter, UrgencyFilter)
    search_fields = ("=id", "text", "acknowledged_by")
    search_help_text = "Part of its text, or who acknowledged it"
    ordering = (F("open_marker").desc(nulls_last=True), "urgency", "-raised_at", "id")
    acts = (Acknowledge(),)

    def states(self, now: datetime) -> Mapping[str, Q]:  # noqa: ARG002  # by column
        """One of three."""
        return {
            "open": OPEN & Q(acknowledged_by=""),
            "acknowledged": OPEN & ~Q(acknowledged_by=""),
            "resolved": Q(open_marker=None),
        }

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:  # Any: Django's
        """By words; a pasted ref is of something else."""
        if search_term.startswith(("https://", "http://")):
            return queryset.none(), False
        return super().get_search_results(request, queryset, search_term)

    def detail(self, row: Notice, *, now: datetime) -> Detail:
        """What it is, what to do, and what became of it."""
        words, advice = KINDS.get(row.kind, (row.kind, ""))
        return Detail(
            kind=self.title,
            title=words,
            state=notice_pill(row),
            sections=(
                Section(
                    title="What it is",
                    facts=(
                        Fact(label="Notice", value=row.text),
                        Fact(label="What to do", value=text(advice)),
                        Fact(label="See", value=link(row.path, row.path) if row.path else missing("no page")),
                        Fact(label="Urgency", value=row.get_urgency_display()),
                    ),
                ),
                Section(
                    title="What became of it",
                    facts=(
                        Fact(label="Raised", value=relative(row.raised_at, now=now)),
                        Fact(
                            label="Told of",
                            value=relative(row.told_at, now=now),
                            note="once" if row.told_count == 1 else f"{row.told_count} times",
                        ),
                        Fact(label="Acknowledged by", value=row.acknowledged_by or missing("nobody")),
                        Fact(label="Reason", value=text(row.acknowledgement_reason)),
                        Fact(label="Acknowledged", value=relative(row.acknowledged_at, now=now)),
                        Fact(label="Resolved", value=relative(row.resolved_at, now=now, absent="not yet")),
                        Fact(label="Id", value=code(row.pk)),
                    ),
                ),
            ),
        )

    @admin.display(description="notice", ordering="text")
    def about(self, row: Notice) -> SafeString:
        """In a sentence."""
        return breakable(row.text)

    @admin.display(description="state", ordering="urgency")
    def state(self, row: Notice) -> SafeString:
        """Open ones by their urgency."""
        return notice_pill(row)

    @admin.display(description="raised", ordering="raised_at")
    def raised(self, row: Notice) -> SafeString:
        """Since when."""
        return moment(row.raised_at)

    @admin.display(description="acknowledged by", ordering="acknowledged_by")
    def acknowledged(self, row: Notice) -> SafeString | str:
        """Who looks after it."""
        return row.acknowledged_by or missing("nobody")

    @admin.display(description="resolved", ordering="resolved_at")
    def resolved(self, row: Notice) -> SafeString:
        """When its cause was gone."""
        return moment(row.resolved_at, absent="not yet")


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    """What was sent about notices, and what did not arrive."""

    title = "Message"
    title_plural = "Messages"
    lead = "What is told of notices, by e-mail and by webhook. Whatever does not arrive is tried again."
    empty = EmptyState(
        sentence="Nothing was sent yet. Settings say where to, see docs/operators/notices.md; to try:",
        commands=("manage.py notices test",),
    )
    state_words: ClassVar = {"waiting": "waiting", "sent": "sent", "given_up": "given up"}
    list_display = ("first", "state_shown", "channel_shown", "attempts", "created", "next", "error")
    list_filter = (StateFilter,)
    number_columns = frozenset({"attempts"})
    search_fields = ("=id", "last_error")
    search_help_text = "Its id, or part of the last error"
    ordering = ("-created_at", "id")

    def states(self, now: datetime) -> Mapping[str, Q]:  # noqa: ARG002  # by column
        """As they stand."""
        return {state.value: Q(state=state) for state in Message.State}

    def detail(self, row: Message, *, now: datetime) -> Detail:
        """What it says, and how far it got."""
        return Detail(
            kind=self.title,
            title=_first(row),
            state=_message_pill(row),
            sections=(
                Section(
                    title="On its way",
                    facts=(
                        Fact(label="Channel", value=row.get_channel_display()),
                        Fact(label="Attempts", value=f"{row.attempts} of {ATTEMPTS}"),
                        Fact(label="Last error", value=text(row.last_error)),
                        Fact(label="Written", value=relative(row.created_at, now=now)),
                        Fact(label="Next attempt", value=_next(row)),
                        Fact(label="Ended", value=relative(row.ended_at, now=now, absent="not yet")),
                        Fact(
                            label="Id",
                            value=code(row.pk),
                            note="Keepsite-Delivery, the same at every attempt",
                        ),
                    ),
                ),
                Section(
                    title="What it says",
                    facts=tuple(Fact(label=str(one["event"]), value=str(one["text"])) for one in row.events),
                ),
            ),
        )

    @admin.display(description="message")
    def first(self, row: Message) -> SafeString:
        """Its first event, and how many more."""
        return breakable(_first(row))

    @admin.display(description="state", ordering="state")
    def state_shown(self, row: Message) -> SafeString:
        """In a word."""
        return _message_pill(row)

    @admin.display(description="channel", ordering="channel")
    def channel_shown(self, row: Message) -> str:
        """E-mail or webhook."""
        return str(Message.Channel(row.channel).label)

    @admin.display(description="written", ordering="created_at")
    def created(self, row: Message) -> SafeString:
        """When."""
        return moment(row.created_at)

    @admin.display(description="next attempt", ordering="next_at")
    def next(self, row: Message) -> SafeString:
        """When it is tried."""
        return _next(row)

    @admin.display(description="last error")
    def error(self, row: Message) -> SafeString | str:
        """Why it did not arrive."""
        return text(row.last_error)


def kind_words(notice: Notice) -> str:
    """What kind of notice it is, as people say it."""
    words, _ = KINDS.get(notice.kind, (str(notice.kind), ""))
    return words


def notice_pill(notice: Notice) -> SafeString:
    """Its state; of an open one, how urgent it is."""
    if notice.open_marker is None:
        return pill("Resolved", Tone.QUIET)
    if notice.acknowledged_by:
        return pill("Acknowledged", Tone.WAITING)
    return pill("Urgent", Tone.BAD) if notice.urgency == Urgency.NOW else pill("Open", Tone.WARNING)


def _first(message: Message) -> str:
    more = f" (and {len(message.events) - 1} more)" if len(message.events) > 1 else ""
    return f"{message.events[0]['event']}: {message.events[0]['text']}{more}"


def _next(message: Message) -> SafeString:
    return moment(message.next_at) if message.state == Message.State.WAITING else missing("none")


def _message_pill(message: Message) -> SafeString:
    return {
        Message.State.WAITING: lambda: pill("Waiting", Tone.WAITING),
        Message.State.SENT: lambda: pill("Sent", Tone.GOOD),
        Message.State.GIVEN_UP: lambda: pill("Given up", Tone.BAD),
    }[Message.State(message.state)]()
