from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from keepsite.keyring.models import MKEK, ProjectKEK
from keepsite.projects.models import Project
from keepsite.readonly import (
    ChoiceFilter,
    Detail,
    EmptyState,
    Fact,
    ProjectFilter,
    ReadOnlyAdmin,
    Section,
    StateFilter,
    Tone,
    code,
    counted,
    detail_url,
    link,
    list_url,
    moment,
    pill,
    relative,
    text,
)

# Each state as a word, and what it means.
MKEK_STATES: dict[str, tuple[str, Tone, str]] = {
    MKEK.State.PENDING: ("Pending", Tone.WAITING, "On the token; it wraps nothing yet."),
    MKEK.State.CURRENT: ("Current", Tone.GOOD, "It wraps new pKEKs."),
    MKEK.State.PREVIOUS: ("Previous", Tone.WARNING, "It unwraps only, until its last pKEK is rewrapped."),
    MKEK.State.RETIRED: ("Retired", Tone.QUIET, "It unwraps nothing any more."),
}
PKEK_STATES: dict[str, tuple[str, Tone, str]] = {
    ProjectKEK.State.ACTIVE: ("Active", Tone.GOOD, "It seals new payloads and opens its own."),
    ProjectKEK.State.DECRYPT_ONLY: (
        "Decrypt only",
        Tone.WARNING,
        "It opens its payloads until the last of them has moved to a newer generation.",
    ),
    ProjectKEK.State.RETIRED: ("Retired", Tone.QUIET, "It opens nothing any more."),
}
WRAP_ALGORITHMS = {"kw": "AES key wrap (RFC 3394)"}
NEWEST_MKEKS = 50


class MKEKFilter(ChoiceFilter):
    """The master key that wraps a generation."""

    title = "MKEK"
    parameter_name = "mkek"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002  # Any: Django's
        """The newest master keys; there are few."""
        return list(MKEK.objects.order_by("-created_at").values_list("id", "label")[:NEWEST_MKEKS])


@admin.register(MKEK)
class MKEKAdmin(ReadOnlyAdmin):
    """Master keys: which the HSM holds and what they are for."""

    title = "MKEK"
    title_plural = "MKEKs"
    lead = "Master key-encryption keys: born in the HSM and never outside it. They wrap the keys of projects."
    empty = EmptyState(
        sentence="There is no master key yet: nothing can be stored.",
        commands=("manage.py mkek_generate --label keepsite-mkek-1 --activate",),
    )
    state_words: ClassVar = {state: word.lower() for state, (word, _, _) in MKEK_STATES.items()}
    list_display = ("label", "shown_state", "wrapped_count", "check_value", "token_id", "created")
    number_columns = frozenset({"wrapped_count"})
    list_filter = (StateFilter,)
    search_fields = ("label", "=cka_id", "=kcv")
    search_help_text = "Label, CKA_ID or key check value"
    ordering = ("-created_at",)
    unseen = ("canary_wrapped", "canary_iv", "canary_ciphertext")

    def states(self, now: datetime) -> Mapping[str, Q]:  # noqa: ARG002  # they do not change with time
        """Its column says it."""
        return {state: Q(state=state) for state in self.state_words}

    def get_queryset(self, request: HttpRequest) -> QuerySet[MKEK]:
        """MKEKs with how many pKEKs each wraps."""
        mkeks: QuerySet[MKEK] = super().get_queryset(request)
        return mkeks.annotate(pkek_count=counted(MKEK, "pkeks"))

    def detail(self, row: Any, *, now: datetime) -> Detail:  # Any: an MKEK with the annotation above
        """How the token knows it, and what depends on it."""
        _, _, meaning = MKEK_STATES[row.state]
        return Detail(
            kind=self.title,
            title=row.label,
            state=_mkek_pill(row),
            sections=(
                Section(
                    title="What it does",
                    facts=(
                        Fact(label="State", value=meaning),
                        Fact(
                            label="pKEKs under it",
                            value=link(list_url(ProjectKEK, mkek=row.id), text(row.pkek_count)),
                            note="Generations of all projects, also decrypt-only ones.",
                        ),
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
        return _mkek_pill(mkek)

    @admin.display(description="pKEKs", ordering="pkek_count")
    def wrapped_count(self, mkek: Any) -> int:  # Any: an MKEK with the annotation above
        """How many pKEKs it wraps."""
        count: int = mkek.pkek_count
        return count

    @admin.display(description="check value")
    def check_value(self, mkek: MKEK) -> SafeString:
        """The KCV."""
        return code(mkek.kcv)

    @admin.display(description="CKA_ID")
    def token_id(self, mkek: MKEK) -> SafeString:
        """How the token finds it."""
        return code(mkek.cka_id)

    @admin.display(description="generated (UTC)", ordering="created_at")
    def created(self, mkek: MKEK) -> SafeString:
        """Since when."""
        return moment(mkek.created_at)


@admin.register(ProjectKEK)
class ProjectKEKAdmin(ReadOnlyAdmin):
    """Project keys: their generations, and the master key each is wrapped by."""

    title = "pKEK"
    title_plural = "pKEKs"
    lead = "Generations of project key-encryption keys. They seal payloads and are stored wrapped by an MKEK."
    empty = EmptyState(sentence="No project has a key yet. The first payload a project stores makes one.")
    state_words: ClassVar = {state: word.lower() for state, (word, _, _) in PKEK_STATES.items()}
    list_display = ("shown_project", "generation", "shown_state", "shown_mkek", "created", "retired")
    number_columns = frozenset({"generation"})
    list_filter = (StateFilter, MKEKFilter, ProjectFilter)
    search_fields = ("=id", "project__external_id")
    search_help_text = "Part of a project id, or a pKEK id"
    ordering = ("-created_at",)
    unseen = (
        "wrapped_pkek",
        "canary_iv",
        "canary_ciphertext",
        "mkek__canary_wrapped",
        "mkek__canary_iv",
        "mkek__canary_ciphertext",
    )

    def states(self, now: datetime) -> Mapping[str, Q]:  # noqa: ARG002  # they do not change with time
        """Its column says it."""
        return {state: Q(state=state) for state in self.state_words}

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProjectKEK]:
        """Generations with their project and MKEK."""
        pkeks: QuerySet[ProjectKEK] = super().get_queryset(request)
        return pkeks.select_related("project", "mkek")

    def detail(self, row: ProjectKEK, *, now: datetime) -> Detail:
        """Whose key it is, what wraps it, what it does."""
        _, _, meaning = PKEK_STATES[row.state]
        wrapping = WRAP_ALGORITHMS.get(row.wrap_algorithm, row.wrap_algorithm)
        return Detail(
            kind=self.title,
            title=str(row),
            state=_pkek_pill(row),
            sections=(
                Section(
                    title="What it does",
                    facts=(
                        Fact(label="State", value=meaning),
                        Fact(label="Project", value=link(detail_url(Project, row.project_id), row.project)),
                        Fact(label="Generation", value=text(row.generation)),
                    ),
                ),
                Section(
                    title="How it is kept",
                    facts=(
                        Fact(label="Wrapped by", value=link(detail_url(MKEK, row.mkek_id), row.mkek)),
                        Fact(label="Wrapping", value=f"{wrapping}, stored format {row.format}"),
                    ),
                ),
                Section(
                    title="Identity",
                    facts=(
                        Fact(label="pKEK id", value=code(row.id)),
                        Fact(label="Created", value=relative(row.created_at, now=now)),
                        Fact(label="Retired", value=relative(row.retired_at, now=now)),
                    ),
                ),
            ),
        )

    @admin.display(description="project", ordering="project__external_id")
    def shown_project(self, pkek: ProjectKEK) -> str:
        """Whose key it is."""
        return str(pkek.project)

    @admin.display(description="state", ordering="state")
    def shown_state(self, pkek: ProjectKEK) -> SafeString:
        """What it is for, in a word."""
        return _pkek_pill(pkek)

    @admin.display(description="MKEK", ordering="mkek__label")
    def shown_mkek(self, pkek: ProjectKEK) -> SafeString:
        """What wraps it."""
        return link(detail_url(MKEK, pkek.mkek_id), pkek.mkek)

    @admin.display(description="created (UTC)", ordering="created_at")
    def created(self, pkek: ProjectKEK) -> SafeString:
        """Since when."""
        return moment(pkek.created_at)

    @admin.display(description="retired (UTC)", ordering="retired_at")
    def retired(self, pkek: ProjectKEK) -> SafeString:
        """Until when."""
        return moment(pkek.retired_at)


def _mkek_pill(mkek: MKEK) -> SafeString:
    word, tone, _ = MKEK_STATES[mkek.state]
    return pill(word, tone)


def _pkek_pill(pkek: ProjectKEK) -> SafeString:
    word, tone, _ = PKEK_STATES[pkek.state]
    return pill(word, tone)
