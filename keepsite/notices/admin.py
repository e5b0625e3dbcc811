"""Notices and the messages about them, in the console."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

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
from keepsite.translation import gettext_lazy

# What each kind is, and what to do about it.
CHANNELS: dict[str, str] = {
    Message.Channel.EMAIL: gettext_lazy("e-mail"),
    Message.Channel.WEBHOOK: gettext_lazy("webhook"),
}
URGENCIES: dict[int, str] = {Urgency.NOW: gettext_lazy("now"), Urgency.SOON: gettext_lazy("soon")}
KINDS: dict[str, tuple[str, str]] = {
    "secrets-expire": (
        gettext_lazy("Secrets expire"),
        gettext_lazy("Tell the project: who reads them fails once they have expired."),
    ),
    "api-key-expires": (
        gettext_lazy("API key expires"),
        gettext_lazy("Make another for its client, then let this one go."),
    ),
    "mkek-due": (
        gettext_lazy("MKEK due"),
        gettext_lazy("Generate another, see that every HSM member holds it, activate it, rewrap, retire."),
    ),
    "pkeks-due": (
        gettext_lazy("pKEKs due"),
        gettext_lazy("Rotate them, then re-encrypt payloads; nothing is urgent about it."),
    ),
    "quota-near": (
        gettext_lazy("Quota near"),
        gettext_lazy("Ask the project to delete what it does not need, or set a higher quota."),
    ),
    "orders-stuck": (
        gettext_lazy("Orders stuck"),
        gettext_lazy("See that workers and the order relay run, and that the HSM answers."),
    ),
    "dead-letters": (
        gettext_lazy("Dead letters"),
        gettext_lazy("Replay or discard each; a newer release may know what it asks for."),
    ),
    "retirements-stopped": (
        gettext_lazy("Retirements stopped"),
        gettext_lazy("Meant: keystone_listener --clear-alarm. Not meant: restore the projects that went."),
    ),
    "hsm-member-down": (
        gettext_lazy("HSM member down"),
        gettext_lazy("hsm_check says what is wrong with it; the other members serve meanwhile."),
    ),
    "node-lost": (
        gettext_lazy("Node lost"),
        gettext_lazy("Look at the host. If it is gone for good, forget it."),
    ),
    "promotion-stopped": (
        gettext_lazy("Promotion stopped"),
        gettext_lazy("Mend what it names and resume, or roll back."),
    ),
    "audit-not-whole": (
        gettext_lazy("Audit trail not whole"),
        gettext_lazy("Do not repair. docs/operators/audit.md says what to do."),
    ),
    "approval-waiting": (
        gettext_lazy("Approval waiting"),
        gettext_lazy("Approve or refuse it, unless you asked for it."),
    ),
    "emergency": (
        gettext_lazy("Done in an emergency"),
        gettext_lazy("Look into it with who did it, and acknowledge it."),
    ),
    "messages-given-up": (
        gettext_lazy("Messages not sent"),
        gettext_lazy("`manage.py notices test` says whether the channel works now."),
    ),
}


class Acknowledge(Act):
    """Say that somebody looks after it."""

    name = "acknowledge"
    label = gettext_lazy("Acknowledge")
    permission = "notices.acknowledge_notice"
    scope = "many"

    def applies_to(self, row: Notice, *, now: datetime) -> bool:  # noqa: ARG002  # the row says it
        """It is open, and nobody has."""
        return bool(row.open_marker) and not row.acknowledged_by

    def title(self, rows: Rows) -> str:
        """What the page asks."""
        return ngettext("Acknowledge this notice", "Acknowledge %(count)s notices", len(rows)) % {
            "count": len(rows)
        }

    def lead(self, rows: Rows) -> str:  # noqa: ARG002  # the same for all
        """What that means."""
        return _(
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
        words = ngettext("The notice is acknowledged.", "%(count)s notices are acknowledged.", done)
        return Outcome(done=words % {"count": done} if done else "", refused=refused)


class KindFilter(ChoiceFilter):
    """What it is about."""

    title = gettext_lazy("kind")
    parameter_name = "kind"
    options = tuple((kind, words) for kind, (words, _) in KINDS.items())


class UrgencyFilter(ChoiceFilter):
    """How soon somebody should look."""

    title = gettext_lazy("urgency")
    parameter_name = "urgency"
    options = tuple((str(value), words) for value, words in URGENCIES.items())


@admin.register(Notice)
class NoticeAdmin(ActingAdmin):
    """What operators should look at, the open ones first."""

    title = gettext_lazy("Notice")
    title_plural = gettext_lazy("Notices")
    lead = gettext_lazy(
        "What somebody should look at. A notice is resolved by itself when its cause is gone."
    )
    empty = EmptyState(
        sentence=gettext_lazy(
            "Nothing has needed anybody's attention yet. A worker looks every minute; to look now:"
        ),
        commands=("manage.py notices find",),
    )
    state_words: ClassVar = {
        "open": gettext_lazy("open"),
        "acknowledged": gettext_lazy("acknowledged, not resolved"),
        "resolved": gettext_lazy("resolved"),
    }
    list_display = ("about", "state", "raised", "acknowledged", "resolved")
    list_filter = (StateFilter, KindFilter, UrgencyFilter)
    search_fields = ("=id", "text", "acknowledged_by")
    search_help_text = gettext_lazy("Part of its text, or who acknowledged it")
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
                    title=_("What it is"),
                    facts=(
                        Fact(label=_("Notice"), value=row.text),
                        Fact(label=_("What to do"), value=text(advice)),
                        Fact(
                            label=_("See"),
                            value=link(row.path, row.path) if row.path else missing(_("no page")),
                        ),
                        Fact(label=_("Urgency"), value=URGENCIES[row.urgency]),
                    ),
                ),
                Section(
                    title=_("What became of it"),
                    facts=(
                        Fact(label=_("Raised"), value=relative(row.raised_at, now=now)),
                        Fact(
                            label=_("Told of"),
                            value=relative(row.told_at, now=now),
                            note=ngettext("once", "%(told_count)s times", row.told_count)
                            % {"told_count": row.told_count},
                        ),
                        Fact(label=_("Acknowledged by"), value=row.acknowledged_by or missing(_("nobody"))),
                        Fact(label=_("Reason"), value=text(row.acknowledgement_reason)),
                        Fact(label=_("Acknowledged"), value=relative(row.acknowledged_at, now=now)),
                        Fact(
                            label=_("Resolved"), value=relative(row.resolved_at, now=now, absent=_("not yet"))
                        ),
                        Fact(label=_("Id"), value=code(row.pk)),
                    ),
                ),
            ),
        )

    @admin.display(description=gettext_lazy("notice"), ordering="text")
    def about(self, row: Notice) -> SafeString:
        """In a sentence."""
        return breakable(row.text)

    @admin.display(description=gettext_lazy("state"), ordering="urgency")
    def state(self, row: Notice) -> SafeString:
        """Open ones by their urgency."""
        return notice_pill(row)

    @admin.display(description=gettext_lazy("raised"), ordering="raised_at")
    def raised(self, row: Notice) -> SafeString:
        """Since when."""
        return moment(row.raised_at)

    @admin.display(description=gettext_lazy("acknowledged by"), ordering="acknowledged_by")
    def acknowledged(self, row: Notice) -> SafeString | str:
        """Who looks after it."""
        return row.acknowledged_by or missing(_("nobody"))

    @admin.display(description=gettext_lazy("resolved"), ordering="resolved_at")
    def resolved(self, row: Notice) -> SafeString:
        """When its cause was gone."""
        return moment(row.resolved_at, absent=_("not yet"))


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    """What was sent about notices, and what did not arrive."""

    title = gettext_lazy("Message")
    title_plural = gettext_lazy("Messages")
    lead = gettext_lazy(
        "What is told of notices, by e-mail and by webhook. Whatever does not arrive is tried again."
    )
    empty = EmptyState(
        sentence=gettext_lazy(
            "Nothing was sent yet. Settings say where to, see docs/operators/notices.md; to try:"
        ),
        commands=("manage.py notices test",),
    )
    state_words: ClassVar = {
        "waiting": gettext_lazy("waiting"),
        "sent": gettext_lazy("sent"),
        "given_up": gettext_lazy("given up"),
    }
    list_display = ("first", "state_shown", "channel_shown", "attempts", "created", "next", "error")
    column_words: ClassVar = {"attempts": gettext_lazy("attempts")}
    list_filter = (StateFilter,)
    number_columns = frozenset({"attempts"})
    search_fields = ("=id", "last_error")
    search_help_text = gettext_lazy("Its id, or part of the last error")
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
                    title=_("On its way"),
                    facts=(
                        Fact(label=_("Channel"), value=CHANNELS[row.channel]),
                        Fact(
                            label=_("Attempts"),
                            value=_("%(attempts)s of %(most)s")
                            % {"attempts": row.attempts, "most": ATTEMPTS},
                        ),
                        Fact(label=_("Last error"), value=text(row.last_error)),
                        Fact(label=_("Written"), value=relative(row.created_at, now=now)),
                        Fact(label=_("Next attempt"), value=_next(row)),
                        Fact(label=_("Ended"), value=relative(row.ended_at, now=now, absent=_("not yet"))),
                        Fact(
                            label=_("Id"),
                            value=code(row.pk),
                            note=_("Keepsite-Delivery, the same at every attempt"),
                        ),
                    ),
                ),
                Section(
                    title=_("What it says"),
                    facts=tuple(Fact(label=str(one["event"]), value=str(one["text"])) for one in row.events),
                ),
            ),
        )

    @admin.display(description=gettext_lazy("message"))
    def first(self, row: Message) -> SafeString:
        """Its first event, and how many more."""
        return breakable(_first(row))

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def state_shown(self, row: Message) -> SafeString:
        """In a word."""
        return _message_pill(row)

    @admin.display(description=gettext_lazy("channel"), ordering="channel")
    def channel_shown(self, row: Message) -> str:
        """E-mail or webhook."""
        return CHANNELS[row.channel]

    @admin.display(description=gettext_lazy("written"), ordering="created_at")
    def created(self, row: Message) -> SafeString:
        """When."""
        return moment(row.created_at)

    @admin.display(description=gettext_lazy("next attempt"), ordering="next_at")
    def next(self, row: Message) -> SafeString:
        """When it is tried."""
        return _next(row)

    @admin.display(description=gettext_lazy("last error"))
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
        return pill(_("Resolved"), Tone.QUIET)
    if notice.acknowledged_by:
        return pill(_("Acknowledged"), Tone.WAITING)
    return pill(_("Urgent"), Tone.BAD) if notice.urgency == Urgency.NOW else pill(_("Open"), Tone.WARNING)


def _first(message: Message) -> str:
    first, more = f"{message.events[0]['event']}: {message.events[0]['text']}", len(message.events) - 1
    return _("%(first)s (and %(count)s more)") % {"first": first, "count": more} if more else first


def _next(message: Message) -> SafeString:
    return moment(message.next_at) if message.state == Message.State.WAITING else missing(_("none"))


def _message_pill(message: Message) -> SafeString:
    return {
        Message.State.WAITING: lambda: pill(_("Waiting"), Tone.WAITING),
        Message.State.SENT: lambda: pill(_("Sent"), Tone.GOOD),
        Message.State.GIVEN_UP: lambda: pill(_("Given up"), Tone.BAD),
    }[Message.State(message.state)]()
