from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar

from django.apps import apps
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from hsm.member import State
from keepsite.acts import ActingAdmin
from keepsite.fleet.acts import ReleaseMember
from keepsite.fleet.figures import MemberFigures, fleet_figures
from keepsite.fleet.models import HSMMember, MemberChange
from keepsite.fleet.words import (
    ERRORS,
    OTHER_ERROR,
    STATES,
    latency,
    member_pill,
    percent,
    rate,
    state_pill,
)
from keepsite.readonly import (
    Bar,
    Detail,
    EmptyState,
    Fact,
    Heading,
    Notice,
    Row,
    Section,
    Table,
    Tone,
    breakable,
    code,
    detail_url,
    missing,
    moment,
    pill,
    relative,
    text,
)
from keepsite.translation import gettext_lazy

SHOWN_CHANGES = 30
NODE_HEADINGS = (Heading(label=gettext_lazy("Node")), Heading(label=gettext_lazy("How its processes see it")))
ERROR_HEADINGS = (
    Heading(label=gettext_lazy("Class")),
    Heading(label=gettext_lazy("Calls"), is_number=True),
    Heading(label=gettext_lazy("What it means")),
)
MKEK_WORDS = {  # those of keepsite.keyring stand above this layer
    "pending": gettext_lazy("Pending"),
    "current": gettext_lazy("Current"),
    "previous": gettext_lazy("Previous"),
    "retired": gettext_lazy("Retired"),
}
MKEK_HEADINGS = tuple(
    Heading(label=label)
    for label in (
        gettext_lazy("MKEK"),
        gettext_lazy("State"),
        gettext_lazy("Key check value"),
        gettext_lazy("CKA_ID"),
    )
)
CHANGE_HEADINGS = tuple(
    Heading(label=label)
    for label in (
        gettext_lazy("When"),
        gettext_lazy("State"),
        gettext_lazy("Node"),
        gettext_lazy("Process"),
        gettext_lazy("Reason"),
    )
)


@admin.register(HSMMember)
class HSMMemberAdmin(ActingAdmin):
    """The HSM's members, as the nodes' processes see them."""

    title = gettext_lazy("HSM member")
    title_plural = gettext_lazy("HSM members")
    lead = gettext_lazy(
        "The tokens that hold the MKEKs, as the nodes report them every ten seconds."
        " Rates and latencies are of the last five minutes."
    )
    empty = EmptyState(
        sentence=gettext_lazy("No node has told of its HSM yet. Each does ten seconds after its start."),
        commands=("manage.py hsm_status",),
    )
    list_display = ("name", "state", "serving", "p50", "p99", "calls", "cache_hits", "asked")
    column_words: ClassVar = {"name": gettext_lazy("name")}
    number_columns = frozenset({"p50", "p99", "calls", "cache_hits"})
    search_fields = ("name",)
    search_help_text = gettext_lazy("Part of a member's name")
    ordering = ("name",)
    acts = (ReleaseMember(),)

    def get_changelist_instance(self, request: HttpRequest) -> Any:  # Any: Django's ChangeList
        """Django's, its rows with the figures of each member."""
        changelist = super().get_changelist_instance(request)
        figures = {member.name: member for member in fleet_figures(timezone.now()).members}
        changelist.result_list = list(changelist.result_list)
        for row in changelist.result_list:
            row.figures = figures.get(row.name)
        return changelist

    def detail(self, row: HSMMember, *, now: datetime) -> Detail:
        """How it stands, how fast it is, how full, what went wrong, and since when."""
        member = next((one for one in fleet_figures(now).members if one.name == row.name), None)
        return Detail(
            kind=self.title,
            title=row.name,
            state=_state(member),
            notice=_notice(member),
            sections=(
                *(_of_figures(member) if member else ()),
                _mkeks(member, now=now),
                *_release(row, now=now),
                _history(row),
            ),
        )

    @admin.display(description=gettext_lazy("state"))
    def state(self, row: Any) -> SafeString:  # Any: a member with its figures
        """The one that needs somebody most."""
        return _state(row.figures)

    @admin.display(description=gettext_lazy("serves"))
    def serving(self, row: Any) -> SafeString | str:  # Any: as above
        """In how many processes."""
        figures = row.figures
        return (
            _("%(serving)s of %(processes)s processes")
            % {"serving": figures.serving, "processes": figures.processes}
            if figures
            else missing(_("not told"))
        )

    @admin.display(description="p50")
    def p50(self, row: Any) -> SafeString | str:  # Any: as above
        """Half of the calls are quicker."""
        return latency(row.figures.p50_s if row.figures else None)

    @admin.display(description="p99")
    def p99(self, row: Any) -> SafeString | str:  # Any: as above
        """One in a hundred calls is slower."""
        return latency(row.figures.p99_s if row.figures else None)

    @admin.display(description=gettext_lazy("calls"))
    def calls(self, row: Any) -> SafeString | str:  # Any: as above
        """Each second."""
        return rate(row.figures.calls_per_second if row.figures else None)

    @admin.display(description=gettext_lazy("cache hits"))
    def cache_hits(self, row: Any) -> SafeString | str:  # Any: as above
        """Of the uses of pKEKs."""
        return percent(row.figures.cache_hit_percent if row.figures else None)

    @admin.display(description=gettext_lazy("last release"), ordering="wanted_at")
    def asked(self, row: HSMMember) -> SafeString:
        """When an operator last had it looked at."""
        return moment(row.wanted_at)


def _state(member: MemberFigures | None) -> SafeString:
    return member_pill(member) if member else pill(_("Not told"), Tone.QUIET)


def _notice(member: MemberFigures | None) -> Notice | None:
    if member is None:
        words = _("No process tells of this member: it is not configured any more, or no node reports.")
        return Notice(tone=Tone.WARNING, message=words)
    if member.worst is State.UP:
        return None
    word, tone, meaning = STATES[member.worst]
    seen = _("%(states)s of %(processes)s processes see it %(worst)s.") % {
        "states": member.states[member.worst],
        "processes": member.processes,
        "worst": word.lower(),
    }
    return Notice(tone=tone, message=f"{seen} {meaning}")


def _of_figures(member: MemberFigures) -> Iterator[Section]:
    yield Section(
        title=_("How it stands"),
        facts=(
            Fact(label=_("Token"), value=text(member.token)),
            Fact(
                label=_("Serves"),
                value=_("%(serving)s of %(processes)s processes")
                % {"serving": member.serving, "processes": member.processes},
            ),
            Fact(
                label=_("Standby"),
                value=_("yes: asked only if no other serves") if member.is_standby else _("no"),
            ),
        ),
        table=Table(
            caption=_("By node"),
            headings=NODE_HEADINGS,
            rows=tuple(
                Row.of(
                    NODE_HEADINGS,
                    "",
                    breakable(node),
                    ", ".join(
                        _("%(state)s in %(count)s") % {"state": STATES[State(state)][0], "count": count}
                        for state, count in sorted(states.items())
                    ),
                )
                for node, states in member.states_by_node.items()
            ),
        ),
    )
    yield Section(
        title=_("Speed"),
        facts=(
            Fact(label="p50", value=latency(member.p50_s), note=_("Of encrypt and decrypt.")),
            Fact(label="p99", value=latency(member.p99_s)),
            Fact(label=_("Calls"), value=rate(member.calls_per_second)),
            Fact(
                label=_("Cache hits"),
                value=percent(member.cache_hit_percent),
                note=_("Of the uses of pKEKs."),
            ),
            Fact(label=_("In flight"), value=text(member.in_flight)),
        ),
    )
    yield _room(member)
    yield _errors(member)


def _room(member: MemberFigures) -> Section:
    most = (
        ""
        if member.keys_most is None
        else _("The configuration may come to %(keys_most)s.") % {"keys_most": text(member.keys_most)}
    )
    return Section(
        title=_("Room on the token"),
        bars=(
            Bar(label=_("Session objects"), used=member.keys, limit=member.objects_allowed, note=most),
            Bar(label=_("Sessions"), used=member.sessions, limit=member.sessions_allowed),
        ),
        note=_(
            "Session objects are cached pKEKs; their limit is session_object_budget of the configuration."
            " That of sessions the token says itself."
        ),
    )


def _errors(member: MemberFigures) -> Section:
    if not member.errors:
        return Section(title=_("Errors by class"), note=_("None since the processes began."))
    return Section(
        title=_("Errors by class"),
        table=Table(
            caption=_("Errors by class"),
            headings=ERROR_HEADINGS,
            rows=tuple(
                Row.of(ERROR_HEADINGS, "", kind, count, ERRORS.get(kind, OTHER_ERROR))
                for kind, count in sorted(member.errors.items())
            ),
        ),
        note=_("Since the processes began."),
    )


def _mkeks(member: MemberFigures | None, *, now: datetime) -> Section:
    """Which keys it must hold; a member serves only after it opened the canary of each in service."""
    mkeks = apps.get_model("keyring.MKEK")  # which lies above
    rows = mkeks.objects.exclude(state="retired").only("label", "kcv", "cka_id", "state")
    return Section(
        title=_("MKEKs that it must hold"),
        facts=(
            Fact(
                label=_("Last canary"),
                value=relative(
                    member.last_canary_at if member else None, now=now, absent=_("none was opened")
                ),
                note=_("Of the process where it is longest ago. A member serves only after it opened them."),
            ),
        ),
        table=Table(
            caption=_("MKEKs"),
            headings=MKEK_HEADINGS,
            rows=tuple(
                Row.of(
                    MKEK_HEADINGS,
                    detail_url(mkeks, mkek.pk),
                    breakable(mkek.label),
                    MKEK_WORDS[mkek.state],
                    code(mkek.kcv),
                    code(mkek.cka_id),
                )
                for mkek in rows.order_by("-created_at")
            ),
        ),
        note=_("Compare the key check values with what the token's own tools show."),
    )


def _release(row: HSMMember, *, now: datetime) -> Iterator[Section]:
    if row.wanted_at is None:
        return
    facts = [
        Fact(label=_("Asked for"), value=relative(row.wanted_at, now=now)),
        Fact(label=_("By"), value=text(row.wanted_by)),
        Fact(label=_("Why"), value=text(row.wanted_because)),
    ]
    if row.pin_corrected:
        facts.append(Fact(label=_("Corrected PIN"), value=row.get_pin_outcome_display()))
    yield Section(title=_("Last release from quarantine"), facts=tuple(facts))


def _history(row: HSMMember) -> Section:
    changes = list(MemberChange.objects.filter(member=row.name).order_by("-at")[:SHOWN_CHANGES])
    if not changes:
        return Section(title=_("Changes of state"), note=_("None was told in the last 30 days."))
    return Section(
        title=_("Changes of state"),
        table=Table(
            caption=_("Changes of state, the newest first"),
            headings=CHANGE_HEADINGS,
            rows=tuple(
                Row.of(
                    CHANGE_HEADINGS,
                    "",
                    moment(change.at),
                    state_pill(State(change.state)),
                    breakable(change.node),
                    str(change.process),
                    change.reason,
                )
                for change in changes
            ),
        ),
        note=_("The last %(shown_changes)s of all processes, kept for 30 days.")
        % {"shown_changes": SHOWN_CHANGES},
    )
