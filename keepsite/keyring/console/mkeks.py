"""Master keys."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.contrib import admin
from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import Func, IntegerField, Max, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from keepsite.acts import ActingAdmin
from keepsite.keyring.console.mkek_acts import ActivateMKEK, GenerateMKEK, RetireMKEK
from keepsite.keyring.console.starting import RewrapFrom
from keepsite.keyring.console.words import MKEK_STATES, mkek_pill
from keepsite.keyring.models import MKEK, ProjectKEK
from keepsite.keyring.querysets import needed_pkeks
from keepsite.keyring.rotation.mkek_age import due_mkeks, is_due
from keepsite.readonly import (
    Detail,
    EmptyState,
    Fact,
    Notice,
    Section,
    StateFilter,
    Tone,
    code,
    counted,
    link,
    list_url,
    moment,
    relative,
    short_id,
    text,
)
from keepsite.translation import gettext_lazy, lowercased


@admin.register(MKEK)
class MKEKAdmin(ActingAdmin):
    """Master keys: which the HSM holds and what they are for."""

    title = gettext_lazy("MKEK")
    title_plural = gettext_lazy("MKEKs")
    lead = gettext_lazy(
        "Master key-encryption keys: born in the HSM and never outside it. They wrap the keys of projects."
    )
    empty = EmptyState(
        sentence=gettext_lazy(
            "There is no master key yet: nothing can be stored. Generate one above, or by command:"
        ),
        commands=("manage.py mkek_generate --label keepsite-mkek-1 --activate",),
    )
    state_words: ClassVar = {
        **{state: lowercased(word) for state, (word, *_rest) in MKEK_STATES.items()},
        "due": gettext_lazy("due to be replaced"),
    }
    list_display = (
        "label",
        "shown_state",
        "shown_generation",
        "wrapped_count",
        "check_value",
        "token_id",
        "created",
        "replaced",
    )
    column_words: ClassVar = {"label": gettext_lazy("label")}
    number_columns = frozenset({"shown_generation", "wrapped_count"})
    list_filter = (StateFilter,)
    search_fields = ("label", "=cka_id", "=kcv")
    search_help_text = gettext_lazy("Label, CKA_ID or key check value")
    ordering = ("-created_at",)
    unseen = ("canary_wrapped", "canary_iv", "canary_ciphertext")
    acts = (GenerateMKEK(), ActivateMKEK(), RewrapFrom(), RetireMKEK())

    def states(self, now: datetime) -> Mapping[str, Q]:
        """Its column says it; what is due, its age."""
        return {**{state: Q(state=state) for state in MKEK_STATES}, "due": due_mkeks(now)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[MKEK]:
        """MKEKs with how many pKEKs each wraps, and the how manyth it is."""
        mkeks: QuerySet[MKEK] = super().get_queryset(request)
        so_far = MKEK.objects.filter(created_at__lte=OuterRef("created_at")).order_by()
        number = so_far.annotate(number=Func("id", function="COUNT", output_field=IntegerField()))
        return mkeks.annotate(pkek_count=counted(MKEK, "pkeks"), generation=Subquery(number.values("number")))

    def detail(self, row: Any, *, now: datetime) -> Detail:  # Any: an MKEK with the annotations above
        """How the token knows it, and what depends on it."""
        *_rest, meaning = MKEK_STATES[row.state]
        return Detail(
            kind=self.title,
            title=row.label,
            state=mkek_pill(row),
            notice=_notice(row, now=now),
            sections=(
                Section(
                    title=_("What it does"),
                    facts=(
                        Fact(label=_("State"), value=meaning),
                        Fact(label=_("Generation"), value=text(row.generation), note=_("The first is 1.")),
                        Fact(
                            label=_("pKEKs under it"),
                            value=link(list_url(ProjectKEK, mkek=row.id), text(row.pkek_count)),
                            note=_("Generations of all projects, also retired ones."),
                        ),
                        Fact(label=_("In service since"), value=relative(_since(row), now=now)),
                        Fact(label=_("Replaced"), value=relative(row.superseded_at, now=now)),
                    ),
                ),
                Section(
                    title=_("On the token"),
                    facts=(
                        Fact(label=_("CKA_LABEL"), value=code(row.label)),
                        Fact(label=_("CKA_ID"), value=code(row.cka_id)),
                        Fact(
                            label=_("Key check value"),
                            value=code(row.kcv),
                            note=_("A label for people, never proof."),
                        ),
                        Fact(label=_("Unwrap template"), value=code(row.unwrap_template)),
                    ),
                ),
                Section(
                    title=_("Identity"),
                    facts=(
                        Fact(label=_("Row id"), value=code(row.id)),
                        Fact(label=_("Generated"), value=relative(row.created_at, now=now)),
                    ),
                ),
            ),
        )

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def shown_state(self, mkek: MKEK) -> SafeString:
        """What it is for, in a word."""
        return mkek_pill(mkek)

    @admin.display(description=gettext_lazy("generation"), ordering="generation")
    def shown_generation(self, mkek: Any) -> int:  # Any: an MKEK with the annotations above
        """The how manyth it is."""
        number: int = mkek.generation
        return number

    @admin.display(description=gettext_lazy("pKEKs"), ordering="pkek_count")
    def wrapped_count(self, mkek: Any) -> SafeString:  # Any: an MKEK with the annotations above
        """How many pKEKs it wraps."""
        return link(list_url(ProjectKEK, mkek=mkek.id), text(mkek.pkek_count))

    @admin.display(description=gettext_lazy("check value"))
    def check_value(self, mkek: MKEK) -> SafeString:
        """The KCV."""
        return code(mkek.kcv)

    @admin.display(description=gettext_lazy("CKA_ID"))
    def token_id(self, mkek: MKEK) -> SafeString:
        """How the token finds it: its beginning, the page has all of it."""
        return short_id(mkek.cka_id)

    @admin.display(description=gettext_lazy("generated"), ordering="created_at")
    def created(self, mkek: MKEK) -> SafeString:
        """Since when it is there."""
        return moment(mkek.created_at)

    @admin.display(description=gettext_lazy("replaced"), ordering="superseded_at")
    def replaced(self, mkek: MKEK) -> SafeString:
        """Since when another is current."""
        return moment(mkek.superseded_at)


def _since(mkek: MKEK) -> datetime | None:
    """When it became current: the moment the one before it was replaced, or for the first its own."""
    if mkek.state == MKEK.State.PENDING:
        return None
    before = MKEK.objects.exclude(id=mkek.id)
    if mkek.superseded_at:
        before = before.filter(superseded_at__lt=mkek.superseded_at)
    latest: datetime | None = before.aggregate(at=Max("superseded_at"))["at"]
    return max(latest, mkek.created_at) if latest else mkek.created_at


def _notice(mkek: MKEK, *, now: datetime) -> Notice | None:
    match mkek.state:
        case MKEK.State.CURRENT if is_due(mkek, now=now):
            message = _(
                "It was generated more than %(days)s days ago, so it is due to be replaced. Generate another,"
                " activate it, rewrap, and retire this one."
            ) % {"days": intcomma(settings.MKEK_MAX_DAYS)}
        case MKEK.State.PENDING:
            message = _("It wraps nothing yet. See that every HSM member holds it, then activate it.")
        case MKEK.State.PREVIOUS if needed := needed_pkeks().filter(mkek=mkek).count():
            message = ngettext(
                "It still wraps %(count)s pKEK that is needed. Rewrap it, then retire this MKEK.",
                "It still wraps %(count)s pKEKs that are needed. Rewrap them, then retire this MKEK.",
                needed,
            ) % {"count": intcomma(needed)}
        case MKEK.State.PREVIOUS:
            message = _("It wraps nothing that is needed any more, and can be retired.")
        case _:
            return None
    return Notice(tone=Tone.WARNING, message=message)
