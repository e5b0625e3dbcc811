"""Starting runs: a form for what they are about, and what that touches before anything is done."""

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from django import forms
from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from keepsite import audit
from keepsite.acts import Act, Outcome, ReasonForm
from keepsite.acts.act import Rows
from keepsite.errors import KeepsiteError
from keepsite.keyring.console.words import RUN_KINDS, lasting, rate_words, scope_words
from keepsite.keyring.models import MKEK, KEKRun, ProjectKEK
from keepsite.keyring.rotation import runs
from keepsite.keyring.rotation.scope import MAX_DAYS, Scope, days_before
from keepsite.readonly import Fact, detail_url, text
from keepsite.translation import format_lazy, gettext_lazy

ROTATE, REWRAP = "keyring.rotate_projectkek", "keyring.rewrap_mkek"
PERMISSIONS = {KEKRun.Kind.ROTATE: ROTATE, KEKRun.Kind.REENCRYPT: ROTATE, KEKRun.Kind.REWRAP: REWRAP}
WHOEVER = audit.ConsoleOperator(user_id="-")  # looks: counting is recorded nowhere
WHAT_HAPPENS = {
    KEKRun.Kind.ROTATE: gettext_lazy(
        "Each project gets a new pKEK generation, active at once. The former one only opens what it sealed,"
        " until payloads are re-encrypted. Six PKCS#11 calls a project."
    ),
    KEKRun.Kind.REENCRYPT: gettext_lazy(
        "Whatever former generations sealed is opened in the HSM and sealed anew under the active one; in the"
        " end generations that nothing is sealed under are retired. Four PKCS#11 calls a row."
    ),
    KEKRun.Kind.REWRAP: gettext_lazy(
        "Each pKEK is wrapped anew by the current MKEK and proven before it takes its place; the pKEK itself"
        " stays the same, and so do payloads. Seven PKCS#11 calls a pKEK."
    ),
}


class PaceForm(ReasonForm):
    """How fast."""

    rate = forms.FloatField(
        label=gettext_lazy("Rows per second at most"),
        required=False,
        min_value=0.01,
        help_text=gettext_lazy("Empty: as fast as it goes. A limit leaves the HSM to traffic."),
    )
    batch_rows = forms.IntegerField(
        label=gettext_lazy("Rows of one transaction"),
        min_value=1,
        max_value=runs.LARGEST_BATCH,
        initial=100,
        help_text=format_lazy(
            gettext_lazy("1 to {most}. Smaller ones conflict less on a Galera cluster."),
            most=runs.LARGEST_BATCH,
        ),
    )
    field_order: Sequence[str] = ("rate", "batch_rows", "reason")


class ReencryptForm(PaceForm):
    """Whose rows."""

    project = forms.CharField(
        label=gettext_lazy("Project id"),
        required=False,
        max_length=255,
        help_text=gettext_lazy("Empty: all projects."),
    )
    mkek = forms.ChoiceField(
        label=gettext_lazy("Wrapped by"),
        required=False,
        choices=lambda: [("", _("any MKEK")), *((label, label) for label in _labels())],
    )
    field_order: Sequence[str] = ("project", "mkek", *PaceForm.field_order)


class RotateForm(ReencryptForm):
    """Whose pKEKs: each field that is filled in narrows."""

    older_than_days = forms.FloatField(
        label=gettext_lazy("Older than, in days"),
        required=False,
        min_value=0,
        max_value=MAX_DAYS,
        help_text=gettext_lazy("Empty: of any age."),
    )
    over_encryptions = forms.IntegerField(
        label=gettext_lazy("Sealed more than"),
        required=False,
        min_value=0,
        help_text=gettext_lazy("Stored rows under the pKEK. Empty: however few."),
    )
    field_order: Sequence[str] = (
        "project",
        "older_than_days",
        "over_encryptions",
        "mkek",
        *PaceForm.field_order,
    )


class StartRun(Act):
    """Have workers replace keys; shown first, then done."""

    scope = "list"
    previews = True
    linked_fields = frozenset({"project", "mkek", "older_than_days", "over_encryptions"})

    def __init__(self, kind: KEKRun.Kind, *, name: str, form_class: type[ReasonForm]) -> None:
        self.kind = kind
        self.name, self.label = name, RUN_KINDS[kind]  # type: ignore[misc]  # an act of each kind
        self.permission, self.form_class = PERMISSIONS[kind], form_class  # type: ignore[misc]

    def title(self, rows: Rows) -> str:  # noqa: ARG002  # of the list as a whole
        """What the page asks."""
        return self.label

    def lead(self, rows: Rows) -> str:  # noqa: ARG002  # of the list as a whole
        """What that means."""
        return _("%(what_happens)s Readers and writers notice nothing; it can be paused at any time.") % {
            "what_happens": WHAT_HAPPENS[self.kind]
        }

    def preview(self, rows: Rows, *, actor: audit.Actor, wanted: dict[str, Any]) -> tuple[Fact, ...]:  # noqa: ARG002  # Any: a form
        """How many rows, and how long that takes at least."""
        scope = _scope(self.kind, wanted, now=timezone.now())
        return preview_facts(self.kind, scope, actor=actor, rate=wanted["rate"])

    def perform(self, rows: Rows, *, actor: audit.Actor, wanted: dict[str, Any]) -> Outcome:  # noqa: ARG002  # Any: a form
        """Queued on return."""
        return started(self.kind, _scope(self.kind, wanted, now=timezone.now()), actor=actor, wanted=wanted)


class StartForRow(Act):
    """A run about what one row names: a project's pKEK, or what an MKEK wraps."""

    form_class: ClassVar[type[ReasonForm]] = PaceForm

    @abstractmethod
    def about(self, row: Any) -> Scope:  # Any: the act's model
        """What the run is about."""

    kind: ClassVar[KEKRun.Kind]

    def lead(self, rows: Rows) -> str:  # noqa: ARG002  # the same for all
        """What that means."""
        return WHAT_HAPPENS[self.kind]

    def facts(self, rows: Rows) -> tuple[Fact, ...]:
        """How many rows."""
        if not rows:
            return ()
        try:
            return preview_facts(self.kind, self.about(rows[0]), actor=WHOEVER)
        except KeepsiteError as error:
            return (Fact(label=_("Cannot be begun"), value=error.public),)

    def perform(self, rows: Rows, *, actor: audit.Actor, wanted: dict[str, Any]) -> Outcome:  # Any: a form
        """Queued on return."""
        return started(self.kind, self.about(rows[0]), actor=actor, wanted=wanted)


class RotateNow(StartForRow):
    """Give the project of an active pKEK a new generation."""

    name = "rotate-now"
    label = gettext_lazy("Rotate now")
    permission = ROTATE
    kind = KEKRun.Kind.ROTATE
    form_class = ReasonForm  # it is one row

    def applies_to(self, row: ProjectKEK, *, now: datetime) -> bool:  # noqa: ARG002  # whenever
        """A generation is replaced once."""
        return row.state == ProjectKEK.State.ACTIVE

    def title(self, rows: Rows) -> str:
        """What the page asks."""
        return _("Rotate the pKEK of %(project)s") % {"project": rows[0].project}

    def about(self, row: ProjectKEK) -> Scope:
        """Whatever generation is active by then: two operators at once make one new one."""
        return Scope(project=row.project.external_id, created_before=timezone.now())


class ReencryptNow(StartForRow):
    """Move what former generations of a project sealed."""

    name = "reencrypt-now"
    label = gettext_lazy("Re-encrypt now")
    permission = ROTATE
    kind = KEKRun.Kind.REENCRYPT

    def applies_to(self, row: ProjectKEK, *, now: datetime) -> bool:  # noqa: ARG002  # whenever
        """Only former ones have something to move."""
        return row.state == ProjectKEK.State.DECRYPT_ONLY

    def title(self, rows: Rows) -> str:
        """What the page asks."""
        return _("Re-encrypt payloads of %(project)s") % {"project": rows[0].project}

    def about(self, row: ProjectKEK) -> Scope:
        """All former generations of the project."""
        return Scope(project=row.project.external_id)


class RewrapFrom(StartForRow):
    """Bring what a previous MKEK wraps under the current one."""

    name = "rewrap"
    label = gettext_lazy("Rewrap its pKEKs")
    permission = REWRAP
    kind = KEKRun.Kind.REWRAP

    def applies_to(self, row: MKEK, *, now: datetime) -> bool:  # noqa: ARG002  # whenever
        """The current one keeps its own."""
        return row.state == MKEK.State.PREVIOUS

    def title(self, rows: Rows) -> str:
        """What the page asks."""
        return _("Rewrap the pKEKs under %(row)s") % {"row": rows[0]}

    def about(self, row: MKEK) -> Scope:
        """Those."""
        return Scope(mkek=row.label)


def preview_facts(
    kind: str, scope: Scope, *, actor: audit.Actor, rate: float | None = None
) -> tuple[Fact, ...]:
    """What a run would touch, counted now, and what else is under way.

    Raises:
        Conflict, InvalidInput, NoCurrentMKEK: the run cannot be begun.
    """
    preview = runs.preview(kind, scope, actor=actor)
    others = KEKRun.objects.exclude(state__in=runs.ENDED).filter(kind=kind).count()
    touched = _touched(kind, preview.rows)
    nothing = "" if preview.rows else _("Nothing is left: a run would end at once.")
    facts = [
        Fact(label=_("About"), value=scope_words(scope.written())),
        Fact(label=_("It touches"), value=touched, note=nothing),
    ]
    if rate and preview.rows:
        facts.append(
            Fact(label=_("Takes at least"), value=lasting(preview.rows / rate), note=rate_words(rate))
        )
    if others:
        facts.append(
            Fact(
                label=_("Under way"),
                value=text(others),
                note=_("Runs of this kind that have not ended. They share the work; no row is done twice."),
            )
        )
    return tuple(facts)


def _touched(kind: str, rows: int) -> str:
    if kind == KEKRun.Kind.ROTATE:
        words = ngettext("%(count)s active pKEK", "%(count)s active pKEKs", rows)
    elif kind == KEKRun.Kind.REENCRYPT:
        words = ngettext("%(count)s sealed row", "%(count)s sealed rows", rows)
    else:
        words = ngettext("%(count)s pKEK", "%(count)s pKEKs", rows)
    return words % {"count": intcomma(rows)}


def started(kind: str, scope: Scope, *, actor: audit.Actor, wanted: dict[str, Any]) -> Outcome:  # Any: a form
    """Start it, and lead to its page."""
    run = runs.start(
        kind,
        runs.shared_moment(kind, scope, now=timezone.now()),
        actor=actor,
        reason=wanted["reason"],
        rate=wanted.get("rate"),
        batch_rows=wanted.get("batch_rows", 100),
    )
    return Outcome(
        done=_("The run is queued. This page shows how far it is."), url=detail_url(KEKRun, run.id)
    )


def _scope(kind: str, wanted: dict[str, Any], *, now: datetime) -> Scope:  # Any: a form
    days = wanted.get("older_than_days")
    created_before = None
    if kind == KEKRun.Kind.ROTATE:
        created_before = now if days is None else days_before(now, days)
    return Scope(
        project=wanted["project"] or None,
        mkek=wanted["mkek"] or None,
        created_before=created_before,
        over_encryptions=wanted.get("over_encryptions"),
    )


def _labels() -> list[str]:
    unretired = MKEK.objects.exclude(state=MKEK.State.RETIRED)
    return list(unretired.order_by("-created_at").values_list("label", flat=True))


START_ACTS: tuple[Act, ...] = (
    StartRun(KEKRun.Kind.ROTATE, name="rotate", form_class=RotateForm),
    StartRun(KEKRun.Kind.REENCRYPT, name="reencrypt", form_class=ReencryptForm),
    StartRun(KEKRun.Kind.REWRAP, name="rewrap", form_class=ReencryptForm),
)
