"""Master keys."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Func, IntegerField, Max, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.safestring import SafeString

from keepsite.acts import ActingAdmin
from keepsite.keyring.console.mkek_acts import ActivateMKEK, GenerateMKEK, RetireMKEK
from keepsite.keyring.console.starting import RewrapFrom
from keepsite.keyring.console.words import MKEK_STATES, mkek_pill, rows_words
from keepsite.keyring.models import MKEK, ProjectKEK
from keepsite.keyring.querysets import needed_pkeks
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


@admin.register(MKEK)
class MKEKAdmin(ActingAdmin):
    """Master keys: which the HSM holds and what they are for."""

    title = "MKEK"
    title_plural = "MKEKs"
    lead = "Master key-encryption keys: born in the HSM and never outside it. They wrap the keys of projects."
    empty = EmptyState(
        sentence="There is no master key yet: nothing can be stored. Generate one above, or by command:",
        commands=("manage.py mkek_generate --label keepsite-mkek-1 --activate",),
    )
    state_words: ClassVar = {state: word.lower() for state, (word, _, _) in MKEK_STATES.items()}
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
    number_columns = frozenset({"shown_generation", "wrapped_count"})
    list_filter = (StateFilter,)
    search_fields = ("label", "=cka_id", "=kcv")
    search_help_text = "Label, CKA_ID or key check value"
    ordering = ("-created_at",)
    unseen = ("canary_wrapped", "canary_iv", "canary_ciphertext")
    acts = (GenerateMKEK(), ActivateMKEK(), RewrapFrom(), RetireMKEK())

    def states(self, now: datetime) -> Mapping[str, Q]:  # noqa: ARG002  # they do not change with time
        """Its column says it."""
        return {state: Q(state=state) for state in self.state_words}

    def get_queryset(self, request: HttpRequest) -> QuerySet[MKEK]:
        """MKEKs with how many pKEKs each wraps, and the how manyth it is."""
        mkeks: QuerySet[MKEK] = super().get_queryset(request)
        so_far = MKEK.objects.filter(created_at__lte=OuterRef("created_at")).order_by()
        number = so_far.annotate(number=Func("id", function="COUNT", output_field=IntegerField()))
        return mkeks.annotate(pkek_count=counted(MKEK, "pkeks"), generation=Subquery(number.values("number")))

    def detail(self, row: Any, *, now: datetime) -> Detail:  # Any: an MKEK with the annotations above
        """How the token knows it, and what depends on it."""
        _, _, meaning = MKEK_STATES[row.state]
        return Detail(
            kind=self.title,
            title=row.label,
            state=mkek_pill(row),
            notice=_notice(row),
            sections=(
                Section(
                    title="What it does",
                    facts=(
                        Fact(label="State", value=meaning),
                        Fact(label="Generation", value=text(row.generation), note="The first is 1."),
                        Fact(
                            label="pKEKs under it",
                            value=link(list_url(ProjectKEK, mkek=row.id), text(row.pkek_count)),
                            note="Generations of all projects, also retired ones.",
                        ),
                        Fact(label="In service since", value=relative(_since(row), now=now)),
                        Fact(label="Replaced", value=relative(row.superseded_at, now=now)),
                    ),
                ),
                Section(
                    title="On the token",
                    facts=(
                        Fact(label="CKA_LABEL", value=code(row.label)),
                        Fact(label="CKA_ID", value=code(row.cka_id)),
                        Fact(
                            label="Key check value",
                            value=code(row.kcv),
                            note="A label for people, never proof.",
                        ),
                        Fact(label="Unwrap template", value=row.unwrap_template),
                    ),
                ),
                Section(
                    title="Identity",
                    facts=(
                        Fact(label="Row id", value=code(row.id)),
                        Fact(label="Generated", value=relative(row.created_at, now=now)),
                    ),
                ),
            ),
        )

    @admin.display(description="state", ordering="state")
    def shown_state(self, mkek: MKEK) -> SafeString:
        """What it is for, in a word."""
        return mkek_pill(mkek)

    @admin.display(description="generation", ordering="generation")
    def shown_generation(self, mkek: Any) -> int:  # Any: an MKEK with the annotations above
        """The how manyth it is."""
        number: int = mkek.generation
        return number

    @admin.display(description="pKEKs", ordering="pkek_count")
    def wrapped_count(self, mkek: Any) -> SafeString:  # Any: an MKEK with the annotations above
        """How many pKEKs it wraps."""
        return link(list_url(ProjectKEK, mkek=mkek.id), text(mkek.pkek_count))

    @admin.display(description="check value")
    def check_value(self, mkek: MKEK) -> SafeString:
        """The KCV."""
        return code(mkek.kcv)

    @admin.display(description="CKA_ID")
    def token_id(self, mkek: MKEK) -> SafeString:
        """How the token finds it: its beginning, the page has all of it."""
        return short_id(mkek.cka_id)

    @admin.display(description="generated", ordering="created_at")
    def created(self, mkek: MKEK) -> SafeString:
        """Since when it is there."""
        return moment(mkek.created_at)

    @admin.display(description="replaced", ordering="superseded_at")
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


def _notice(mkek: MKEK) -> Notice | None:
    match mkek.state:
        case MKEK.State.PENDING:
            message = "It wraps nothing yet. See that every HSM member holds it, then activate it."
        case MKEK.State.PREVIOUS if needed := needed_pkeks().filter(mkek=mkek).count():
            count = rows_words(needed, "pKEKs")
            message = f"It still wraps {count} that are needed. Rewrap its pKEKs, then retire it."
        case MKEK.State.PREVIOUS:
            message = "It wraps nothing that is needed any more, and can be retired."
        case _:
            return None
    return Notice(tone=Tone.WARNING, message=message)
