import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import Max, Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from keepsite.acts import ActingAdmin
from keepsite.ids import is_id
from keepsite.projects.models import Project
from keepsite.readonly import (
    Detail,
    EmptyState,
    Fact,
    Heading,
    Notice,
    Row,
    Section,
    StateFilter,
    Table,
    Tone,
    breakable,
    code,
    detail_url,
    link,
    list_url,
    moment,
    pill,
    relative,
    text,
)
from keepsite.trail.acts import Verify
from keepsite.trail.digests import line_hash
from keepsite.trail.filters import (
    FromFilter,
    NodeFilter,
    OfProjectFilter,
    OutcomeFilter,
    ToFilter,
    WhatFilter,
    WhenFilter,
)
from keepsite.trail.models import AuditChain, AuditCheckpoint, AuditRecord, AuditRemoval
from keepsite.trail.reading import parsed
from keepsite.translation import gettext_lazy

CHANGE_HEADINGS = tuple(
    Heading(label=label) for label in (gettext_lazy("What"), gettext_lazy("Before"), gettext_lazy("After"))
)
ACT_HEADINGS = tuple(
    Heading(label=label) for label in (gettext_lazy("Act"), gettext_lazy("Subject"), gettext_lazy("Reason"))
)
FINDING_HEADINGS = tuple(
    Heading(label=label) for label in (gettext_lazy("Segment"), gettext_lazy("What was found"))
)
_ID = re.compile(r"([0-9a-f]{8})(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
Told = Mapping[str, Any]  # Any: JSON values


@admin.register(AuditRecord)
class AuditRecordAdmin(ActingAdmin):
    """Who did what to which object, and how it ended."""

    title = gettext_lazy("Audit record")
    title_plural = gettext_lazy("Audit records")
    lead = gettext_lazy(
        "Who did what, as the nodes recorded it before they answered. It arrives here within seconds."
    )
    empty = EmptyState(
        sentence=gettext_lazy(
            "Nothing was collected yet. Relays do it by themselves; a host without one needs a command."
        ),
        commands=("manage.py audit_collect",),
    )
    list_display = ("label", "when", "who", "about", "shown_project", "ended", "shown_node")
    list_filter = (WhatFilter, OutcomeFilter, WhenFilter, FromFilter, ToFilter, NodeFilter, OfProjectFilter)
    search_fields = ("=user", "=action", "=subject", "=request_id", "=project")
    search_help_text = gettext_lazy("User, action, object id or ref, request id, project")
    ordering = ("-at", "pk")
    export_fields: ClassVar = {
        "at": "at",
        "node": "node",
        "kind": "kind",
        "action": "action",
        "subject": "subject",
        "outcome": "outcome",
        "project": "project",
        "user": "user",
        "method": "method",
        "request_id": "request_id",
        "client": "client",
        "segment": "segment__number",
        "record": "line",
    }

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """An object's id finds what was done to it, whatever kind of object it is."""
        wanted = search_term.rstrip("/").rpartition("/")[2]
        if is_id(wanted):
            nouns = [str(model._meta.model_name) for model in self.admin_site._registry]  # noqa: SLF001  # Django's
            return queryset.filter(subject__in=[f"{noun}:{wanted}" for noun in nouns]), False
        return super().get_search_results(request, queryset, search_term)

    def detail(self, row: AuditRecord, *, now: datetime) -> Detail:
        """All that the record says, and whether it still says what was collected."""
        told = parsed(row.line) or {}
        hashes = row.segment.hashes
        is_as_collected = row.position < len(hashes) and line_hash(row.line) == hashes[row.position]
        return Detail(
            kind=self.title,
            title=row.action,
            state=_outcome(row),
            notice=None
            if is_as_collected
            else Notice(
                tone=Tone.BAD,
                message=_("This record is not what was collected: somebody changed it in the database."),
            ),
            sections=(
                Section(title=_("What was done"), facts=tuple(self._what(row, told)), table=_acts(told)),
                Section(title=_("Who did it"), facts=tuple(_who(row, told))),
                *_changes(told),
                _where(row, now=now),
            ),
        )

    @admin.display(description=gettext_lazy("action"))
    def label(self, record: AuditRecord) -> SafeString:
        """What was done."""
        return _shortened(record.action)

    @admin.display(description=gettext_lazy("when"), ordering="at")
    def when(self, record: AuditRecord) -> SafeString:
        """By the node's clock."""
        return moment(record.at)

    @admin.display(description=gettext_lazy("who"))
    def who(self, record: AuditRecord) -> SafeString | str:
        """The user as they identified themselves."""
        return breakable(record.user) if record.user else text(None)

    @admin.display(description=gettext_lazy("subject"))
    def about(self, record: AuditRecord) -> SafeString | str:
        """What it was done to."""
        return _shortened(record.subject) if record.subject else "\N{EN DASH}"

    @admin.display(description=gettext_lazy("project"))
    def shown_project(self, record: AuditRecord) -> SafeString | str:
        """Whose caller it was; operators belong to none."""
        return breakable(record.project) if record.project.strip("-") else "\N{EN DASH}"

    @admin.display(description=gettext_lazy("outcome"))
    def ended(self, record: AuditRecord) -> SafeString:
        """How it ended."""
        return _outcome(record)

    @admin.display(description=gettext_lazy("node"))
    def shown_node(self, record: AuditRecord) -> SafeString:
        """Where it was recorded."""
        return breakable(record.node)

    def _what(self, row: AuditRecord, told: Told) -> Iterator[Fact]:
        yield Fact(label=_("Action"), value=code(row.action))
        yield Fact(label=_("Subject"), value=self._subject(row.subject))
        if told.get("kind") == "api":
            yield Fact(label=_("Request"), value=code(str(told.get("action"))))
        yield Fact(label=_("Outcome"), value=text(row.outcome))
        if reason := told.get("reason"):
            yield Fact(label=_("Reason"), value=str(reason))
        if not told:
            yield Fact(
                label=_("Line"), value=code(row.line), note=_("No record of ours: kept as it stood there.")
            )

    def _subject(self, subject: str) -> SafeString | str:
        """A link, where the object still exists."""
        noun, _, object_id = subject.partition(":")
        if noun == "project":  # some records name it as the identity service does
            project = Project.objects.filter(Q(pk=object_id) | Q(external_id=object_id)).first()
            return link(detail_url(Project, project.pk), subject) if project else code(subject)
        for model in self.admin_site._registry:  # noqa: SLF001  # Django's
            if model._meta.model_name == noun:  # noqa: SLF001  # Django's documented way
                found = model._default_manager.filter(pk=object_id).exists()  # noqa: SLF001  # Django's API
                return link(detail_url(model, object_id), subject) if found else code(subject)
        return code(subject)


@admin.register(AuditChain)
class AuditChainAdmin(ActingAdmin):
    """Whether the trail is whole, and since when."""

    title = gettext_lazy("Audit chain")
    title_plural = gettext_lazy("Audit chains")
    lead = gettext_lazy(
        "One per node's audit folder, sealed by the HSM within seconds and verified daily by a worker."
    )
    empty = AuditRecordAdmin.empty
    state_words: ClassVar = {
        "whole": gettext_lazy("whole"),
        "broken": gettext_lazy("not whole"),
        "unverified": gettext_lazy("not verified yet"),
        "under_way": gettext_lazy("being verified"),
    }
    list_display = ("node", "state", "since", "verified", "records", "began")
    column_words: ClassVar = {"node": gettext_lazy("node")}
    number_columns = frozenset({"records"})
    list_filter = (StateFilter,)
    search_fields = ("node", "=id")
    search_help_text = gettext_lazy("Part of a node's name, or chain id")
    ordering = ("node", "began_at")
    acts = (Verify(),)

    def states(self, now: datetime) -> Mapping[str, Q]:  # noqa: ARG002  # they do not change with time
        """What the last verification found."""
        return {
            "whole": Q(verified_at__isnull=False, findings=[]),
            "broken": Q(verified_at__isnull=False) & ~Q(findings=[]),
            "unverified": Q(verified_at=None),
            "under_way": ~Q(pass_wanted_by=""),
        }

    def detail(self, row: AuditChain, *, now: datetime) -> Detail:
        """What was found, and how far the chain goes."""
        return Detail(
            kind=self.title,
            title=row.node,
            state=self.state(row),
            notice=_broken(row),
            sections=(
                Section(
                    title=_("Last verification"),
                    facts=(
                        Fact(label=_("Whole since"), value=relative(row.whole_since, now=now)),
                        *_removed(row, now=now),
                        Fact(label=_("Verified"), value=relative(row.verified_at, now=now)),
                        Fact(label=_("By"), value=text(row.verified_by)),
                        Fact(label=_("Records"), value=text(row.records_verified)),
                        Fact(label=_("Segments"), value=text(row.segments_verified)),
                    ),
                    note=_("The proof is a verification of your own: manage.py audit_verify."),
                ),
                _extent(row, now=now),
                *_findings(row),
            ),
        )

    @admin.display(description=gettext_lazy("state"))
    def state(self, chain: AuditChain) -> SafeString:
        """What the last verification found."""
        if chain.findings:
            return pill(_("Not whole"), Tone.BAD)
        if chain.pass_wanted_by:
            return pill(_("Being verified"), Tone.WAITING)
        return pill(_("Whole"), Tone.GOOD) if chain.verified_at else pill(_("Not verified yet"), Tone.QUIET)

    @admin.display(description=gettext_lazy("whole since"), ordering="whole_since")
    def since(self, chain: AuditChain) -> SafeString:
        """Up to the newest checkpoint."""
        return moment(chain.whole_since)

    @admin.display(description=gettext_lazy("verified"), ordering="verified_at")
    def verified(self, chain: AuditChain) -> SafeString:
        """When."""
        return moment(chain.verified_at)

    @admin.display(description=gettext_lazy("records verified"), ordering="records_verified")
    def records(self, chain: AuditChain) -> int:
        """How many copies."""
        return chain.records_verified

    @admin.display(description=gettext_lazy("began"), ordering="began_at")
    def began(self, chain: AuditChain) -> SafeString:
        """With the first file that was collected."""
        return moment(chain.began_at)


def _shortened(words: str) -> SafeString:
    """With ids as lists show them, by their beginning; the record's page has the whole."""
    if _ID.search(words) is None:
        return breakable(words)
    return format_html('<span title="{}">{}</span>', words, _ID.sub(r"\1…", words))


def _outcome(record: AuditRecord) -> SafeString:
    if record.outcome == "done" or record.outcome.startswith("2"):
        return pill(_("Done") if record.outcome == "done" else record.outcome, Tone.GOOD)
    if record.outcome in {"401", "403"}:
        return pill(_("%(outcome)s refused") % {"outcome": record.outcome}, Tone.WARNING)
    return pill(record.outcome or _("Unknown"), Tone.BAD if record.outcome.startswith("5") else Tone.QUIET)


def _acts(told: Told) -> Table | None:
    """What a call did, where it did several things."""
    acts = told.get("acts") or []
    if len(acts) < 2:  # noqa: PLR2004  # one stands in the facts
        return None
    rows = (
        Row.of(ACT_HEADINGS, "", act.get("action"), act.get("subject"), act.get("reason", "\N{EN DASH}"))
        for act in acts
    )
    return Table(caption=_("Everything the call did"), headings=ACT_HEADINGS, rows=tuple(rows))


def _changes(told: Told) -> Iterator[Section]:
    for act in (told, *(told.get("acts") or ())):
        before, after = act.get("before") or {}, act.get("after") or {}
        if before or after:
            rows = tuple(
                Row.of(CHANGE_HEADINGS, "", name, _value(before, name), _value(after, name))
                for name in {**before, **after}
            )
            table = Table(caption=_("Before and after"), headings=CHANGE_HEADINGS, rows=rows)
            yield Section(title=_("What it changed"), table=table)


def _value(side: Told, name: str) -> str:
    value = side.get(name)
    if value is None:
        return "\N{EN DASH}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _who(row: AuditRecord, told: Told) -> Iterator[Fact]:
    theirs = link(list_url(AuditRecord, q=row.user), row.user) if row.user else text(None)
    yield Fact(label=_("User"), value=theirs, note=_("Leads to everything they did."))
    yield Fact(label=_("Project"), value=_project(row.project))
    yield Fact(label=_("By way of"), value=text(row.method))
    yield Fact(label=_("Credential"), value=code(told.get("credential_id")))
    yield Fact(label=_("Address"), value=code(row.client or None))


def _project(external_id: str) -> SafeString | str:
    project = Project.objects.filter(external_id=external_id).first() if external_id.strip("-") else None
    return link(detail_url(Project, project.pk), external_id) if project else text(external_id.strip("-"))


def _where(row: AuditRecord, *, now: datetime) -> Section:
    segment = row.segment
    chain = segment.chain
    sealed = AuditCheckpoint.objects.filter(chain=chain, number__gte=segment.number).exists()
    return Section(
        title=_("Where it stands"),
        facts=(
            Fact(label=_("Recorded"), value=relative(row.at, now=now), note=_("By the node's clock.")),
            Fact(label=_("Node"), value=text(row.node)),
            Fact(label=_("Request id"), value=code(row.request_id or None)),
            Fact(label=_("Collected"), value=relative(segment.collected_at, now=now)),
            Fact(
                label=_("Chain"),
                value=link(detail_url(AuditChain, chain.pk), chain.node),
                note=(
                    _("Segment %(number)s, sealed.") if sealed else _("Segment %(number)s, not sealed yet.")
                )
                % {"number": segment.number},
            ),
        ),
    )


def _removed(chain: AuditChain, *, now: datetime) -> Iterator[Fact]:
    """What of the chain is missing on purpose; a verification says so if it is not as the HSM sealed it."""
    removal = AuditRemoval.objects.filter(chain=chain).only("number", "removed_at", "days").first()
    if removal is not None:
        words = (
            _("By the retention of %(days)s days: all up to segment %(segment)s.")
            if chain.findings
            else _("By the retention of %(days)s days: all before “Whole since”, up to segment %(segment)s.")
        )
        yield Fact(
            label=_("Removed on purpose"),
            value=relative(removal.removed_at, now=now),
            note=words % {"days": removal.days, "segment": intcomma(removal.number)},
        )


def _broken(chain: AuditChain) -> Notice | None:
    if not chain.findings:
        return None
    return Notice(
        tone=Tone.BAD,
        message=_(
            "Somebody changed the collected trail, or a part of it was lost. Keep the database and this"
            " node's audit folder as they are, and read docs/operators/audit.md."
        ),
    )


def _extent(chain: AuditChain, *, now: datetime) -> Section:
    last = chain.segments.order_by("-number").first()
    sealed = chain.checkpoints.aggregate(number=Max("number"), at=Max("sealed_at"))
    behind = (last.number if last else 0) - (sealed["number"] or 0)
    return Section(
        title=_("How far it goes"),
        facts=(
            Fact(label=_("Began"), value=relative(chain.began_at, now=now)),
            Fact(label=_("Last segment"), value=text(last.number if last else None)),
            Fact(label=_("Collected"), value=relative(last.collected_at if last else None, now=now)),
            Fact(
                label=_("Sealed"),
                value=relative(sealed["at"], now=now),
                note=_("Segments not sealed yet: %(behind)s.") % {"behind": behind}
                if behind
                else _("Up to the last segment."),
            ),
            Fact(
                label=_("Chain id"), value=code(chain.id), note=_("As in the file chain of the audit folder.")
            ),
        ),
    )


def _findings(chain: AuditChain) -> Iterator[Section]:
    if chain.findings:
        rows = (
            Row.of(FINDING_HEADINGS, _record_url(found), found["number"], found["words"])
            for found in chain.findings
        )
        table = Table(caption=_("What was found"), headings=FINDING_HEADINGS, rows=tuple(rows))
        yield Section(title=_("What was found"), table=table, note=_("The first hundred, oldest first."))


def _record_url(found: Told) -> str:
    return detail_url(AuditRecord, found["record"]) if found.get("record") else ""
