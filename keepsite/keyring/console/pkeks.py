"""Project keys."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.contrib import admin
from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from keepsite.acts import ActingAdmin
from keepsite.keyring.console.starting import ReencryptNow, RotateNow
from keepsite.keyring.console.words import PKEK_STATES, pkek_pill
from keepsite.keyring.models import MKEK, ProjectKEK
from keepsite.keyring.rotation.rotate import with_encryptions
from keepsite.projects.admin import generations
from keepsite.projects.models import Project
from keepsite.readonly import (
    TO_THE_DAY,
    Bar,
    ChoiceFilter,
    CreatedFilter,
    Detail,
    EmptyState,
    Fact,
    Notice,
    ProjectFilter,
    Section,
    StateFilter,
    Tone,
    breakable,
    code,
    detail_url,
    link,
    moment,
    pill,
    relative,
    text,
    written,
)
from keepsite.translation import gettext_lazy, lowercased

WRAP_ALGORITHMS = {"kw": gettext_lazy("AES key wrap (RFC 3394)")}
NEWEST_MKEKS = 50


class MKEKFilter(ChoiceFilter):
    """The master key that wraps a generation."""

    title = gettext_lazy("MKEK")
    parameter_name = "mkek"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002  # Any: Django's
        """The newest master keys; there are few."""
        return list(MKEK.objects.order_by("-created_at").values_list("id", "label")[:NEWEST_MKEKS])


class GenerationFilter(ChoiceFilter):
    """Whether the project's key was ever replaced."""

    title = gettext_lazy("generation")
    parameter_name = "generation"
    options = (("first", gettext_lazy("the first")), ("later", gettext_lazy("a later one")))

    def chosen(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:  # Any: pKEKs
        """By number."""
        return rows.filter(generation=1) if choice == "first" else rows.filter(generation__gt=1)


class EncryptionsFilter(ChoiceFilter):
    """How much a key has sealed, of what it may."""

    title = gettext_lazy("sealed")
    parameter_name = "sealed"
    options = (
        ("none", gettext_lazy("nothing that is stored")),
        ("half", gettext_lazy("over half of its limit")),
        ("over", gettext_lazy("over its limit")),
    )

    def chosen(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:  # Any: pKEKs with their encryptions
        """Without a limit nothing is over it."""
        if choice == "none":
            return rows.filter(encryptions=0)
        limit = settings.PKEK_MAX_ENCRYPTIONS
        if not limit:
            return rows.none()
        return rows.filter(encryptions__gt=limit // 2 if choice == "half" else limit)


@admin.register(ProjectKEK)
class ProjectKEKAdmin(ActingAdmin):
    """Project keys: their generations, and the master key each is wrapped by."""

    title = gettext_lazy("pKEK")
    title_plural = gettext_lazy("pKEKs")
    lead = gettext_lazy(
        "Generations of project key-encryption keys. They seal payloads and are stored wrapped by an MKEK."
    )
    empty = EmptyState(
        sentence=gettext_lazy("No project has a key yet. The first payload a project stores makes one.")
    )
    state_words: ClassVar = {
        **{state: lowercased(word) for state, (word, *_rest) in PKEK_STATES.items()},
        "due": gettext_lazy("due to be rotated"),
        "behind": gettext_lazy("not under the current MKEK"),
    }
    list_display = (
        "shown_project",
        "generation",
        "shown_state",
        "shown_mkek",
        "sealed",
        "created",
        "retired",
    )
    column_words: ClassVar = {"generation": gettext_lazy("generation")}
    number_columns = frozenset({"generation", "sealed"})
    list_filter = (StateFilter, MKEKFilter, CreatedFilter, GenerationFilter, EncryptionsFilter, ProjectFilter)
    search_fields = ("=id", "project__external_id")
    search_help_text = gettext_lazy("Part of a project id, or a pKEK id")
    ordering = ("-created_at",)
    unseen = (
        "wrapped_pkek",
        "canary_iv",
        "canary_ciphertext",
        "mkek__canary_wrapped",
        "mkek__canary_iv",
        "mkek__canary_ciphertext",
    )
    acts = (RotateNow(), ReencryptNow())

    def states(self, now: datetime) -> Mapping[str, Q]:  # noqa: ARG002  # a job marks what is due
        """Its column says it; of what is due, the mark that the job left."""
        return {
            **{state: Q(state=state) for state in PKEK_STATES},
            "due": Q(due_at__isnull=False),
            "behind": ~Q(state=ProjectKEK.State.RETIRED) & Q(mkek__current_marker=None),
        }

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:  # Any: pKEKs with their encryptions
        """Generations with their project and MKEK, and how many stored rows each sealed."""
        pkeks: QuerySet[ProjectKEK] = super().get_queryset(request)
        return with_encryptions(pkeks.select_related("project", "mkek"))

    def detail(self, row: Any, *, now: datetime) -> Detail:  # Any: a pKEK with its encryptions
        """Whose key it is, what wraps it, what it does, and what was before it."""
        *_rest, meaning = PKEK_STATES[row.state]
        wrapping = WRAP_ALGORITHMS.get(row.wrap_algorithm, row.wrap_algorithm)
        return Detail(
            kind=self.title,
            title=str(row),
            state=pkek_pill(row),
            notice=_notice(row),
            sections=(
                Section(
                    title=_("What it does"),
                    facts=(
                        Fact(label=_("State"), value=meaning),
                        Fact(
                            label=_("Project"), value=link(detail_url(Project, row.project_id), row.project)
                        ),
                        Fact(label=_("Generation"), value=text(row.generation)),
                    ),
                    bars=(
                        Bar(
                            label=_("Stored rows sealed under it"),
                            used=row.encryptions,
                            limit=settings.PKEK_MAX_ENCRYPTIONS or None,
                            note=_("With more it is due. Purged rows are not counted any more."),
                        ),
                    ),
                ),
                Section(
                    title=_("Generations of this project"),
                    timeline=generations(row.project),
                    note=_("The newest first. Older ones open what they sealed until it is re-encrypted."),
                ),
                Section(
                    title=_("How it is kept"),
                    facts=(
                        Fact(label=_("Wrapped by"), value=link(detail_url(MKEK, row.mkek_id), row.mkek)),
                        Fact(
                            label=_("Wrapping"),
                            value=_("%(wrapping)s, stored format %(format)s")
                            % {"wrapping": wrapping, "format": row.format},
                        ),
                    ),
                ),
                Section(
                    title=_("Identity"),
                    facts=(
                        Fact(label=_("pKEK id"), value=code(row.id)),
                        Fact(label=_("Created"), value=relative(row.created_at, now=now)),
                        Fact(label=_("Replaced"), value=relative(row.superseded_at, now=now)),
                        Fact(label=_("Retired"), value=relative(row.retired_at, now=now)),
                    ),
                ),
            ),
        )

    @admin.display(description=gettext_lazy("project"), ordering="project__external_id")
    def shown_project(self, pkek: ProjectKEK) -> SafeString:
        """Whose key it is."""
        return breakable(str(pkek.project))

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def shown_state(self, pkek: ProjectKEK) -> SafeString:
        """What it is for, in a word; that it is due, too."""
        state = pkek_pill(pkek)
        return format_html("{} {}", state, pill(_("Due"), Tone.WARNING)) if pkek.due_at else state

    @admin.display(description=gettext_lazy("MKEK"), ordering="mkek__label")
    def shown_mkek(self, pkek: ProjectKEK) -> SafeString:
        """What wraps it."""
        return link(detail_url(MKEK, pkek.mkek_id), pkek.mkek)

    @admin.display(description=gettext_lazy("sealed"), ordering="encryptions")
    def sealed(self, pkek: Any) -> SafeString | str:  # Any: a pKEK with its encryptions
        """Stored rows under it; of what limit, once it is worth saying."""
        limit = settings.PKEK_MAX_ENCRYPTIONS
        words = text(pkek.encryptions)
        return (
            _("%(number)s of %(limit)s") % {"number": words, "limit": intcomma(limit)}
            if limit and pkek.encryptions * 2 > limit
            else words
        )

    @admin.display(description=gettext_lazy("created"), ordering="created_at")
    def created(self, pkek: ProjectKEK) -> SafeString:
        """Since when."""
        return moment(pkek.created_at)

    @admin.display(description=gettext_lazy("retired"), ordering="retired_at")
    def retired(self, pkek: ProjectKEK) -> SafeString:
        """Until when."""
        return moment(pkek.retired_at)


def _either(limits: list[str]) -> str:
    if len(limits) < 2:  # noqa: PLR2004  # there are two kinds of limit
        return "".join(limits)
    first, second = limits
    return _("%(first)s or %(second)s") % {"first": first, "second": second}


def _notice(pkek: ProjectKEK) -> Notice | None:
    if pkek.due_at is None:
        return None
    limits = []
    if settings.PKEK_MAX_DAYS:
        limits.append(_("older than %(days)s days") % {"days": settings.PKEK_MAX_DAYS})
    if settings.PKEK_MAX_ENCRYPTIONS:
        limits.append(_("over %(limit)s stored rows") % {"limit": intcomma(settings.PKEK_MAX_ENCRYPTIONS)})
    since = written(pkek.due_at, TO_THE_DAY)
    return Notice(
        tone=Tone.WARNING,
        message=_("It has been due since %(since)s: %(limits)s. Rotate it, then re-encrypt.")
        % {"since": since, "limits": _either(limits)},
    )
