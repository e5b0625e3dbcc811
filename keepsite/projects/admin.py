from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from keepsite.acts import ActingAdmin
from keepsite.projects import quotas
from keepsite.projects.acts import RESOURCE_WORDS, ResumeProject, SetQuota, SuspendProject
from keepsite.projects.models import Project, ProjectQuota
from keepsite.projects.sections import audit_section, key_section, rotate_button
from keepsite.readonly import (
    TO_THE_DAY,
    Bar,
    CreatedFilter,
    Detail,
    EmptyState,
    Fact,
    Notice,
    ProjectFilter,
    ReadOnlyAdmin,
    Section,
    Span,
    StateFilter,
    Tone,
    breakable,
    code,
    counted,
    detail_url,
    link,
    list_url,
    missing,
    moment,
    pill,
    relative,
    text,
    written,
)
from keepsite.translation import format_lazy, gettext_lazy

NEW = timedelta(days=7)
SHOWN_PKEKS = 20
PKEK_WORDS = {  # by the states of keyring.ProjectKEK, which lies above
    "active": (gettext_lazy("Seals and opens"), Tone.GOOD),
    "decrypt_only": (gettext_lazy("Opens only"), Tone.WARNING),
    "retired": (gettext_lazy("Retired"), Tone.QUIET),
}


@admin.register(Project)
class ProjectAdmin(ActingAdmin):
    """Projects and how much they keep here."""

    title = gettext_lazy("Project")
    title_plural = gettext_lazy("Projects")
    lead = gettext_lazy("A project appears with its first secret, order or API key.")
    empty = EmptyState(
        sentence=gettext_lazy("No project has stored anything yet."),
        commands=("manage.py api_key create --project PROJECT --user USER --role member --name 'first key'",),
    )
    state_words: ClassVar = {
        "keyed": gettext_lazy("with a pKEK"),
        "bare": gettext_lazy("without a pKEK yet"),
        "suspended": gettext_lazy("suspended"),
        "near": gettext_lazy("near a quota"),
        "new": format_lazy(gettext_lazy("first seen in the past {days} days"), days=NEW.days),
    }
    list_display = ("external_id", "state", "secret_count", "order_count", "key_count", "created")
    column_words: ClassVar = {"external_id": gettext_lazy("external id")}
    number_columns = frozenset({"secret_count", "order_count", "key_count"})
    list_filter = (StateFilter,)
    search_fields = ("external_id", "=id")
    search_help_text = gettext_lazy("Part of a project id")
    ordering = ("external_id",)
    acts = (SetQuota(), SuspendProject(), ResumeProject())

    def states(self, now: datetime) -> Mapping[str, Q]:
        """A project has a pKEK from its first payload on."""
        pkeks = apps.get_model("keyring.ProjectKEK")
        keyed = Q(Exists(pkeks.objects.filter(project=OuterRef("pk"))))
        return {
            "keyed": keyed,
            "bare": ~keyed,
            "suspended": Q(suspended_at__isnull=False),
            "near": _near("secrets", "live_secrets")
            | _near("orders", "kept_orders")
            | _near("containers", "live_containers"),
            "new": Q(created_at__gte=now - NEW),
        }

    def get_queryset(self, request: HttpRequest) -> QuerySet[Project]:
        """Projects with how many live secrets, orders and API keys each has."""
        projects: QuerySet[Project] = super().get_queryset(request)
        live = Q(deleted_at=None) & (Q(expires_at=None) | Q(expires_at__gt=timezone.now()))
        return projects.select_related("quota").annotate(
            live_secrets=counted(Project, "secrets", live),
            live_containers=counted(Project, "containers", Q(deleted_at=None)),
            kept_orders=counted(Project, "orders", Q(deleted_at=None)),
            all_keys=counted(Project, "api_keys"),
        )

    def detail_context(
        self, request: HttpRequest, row: Any, *, now: datetime
    ) -> dict[str, Any]:  # Any: a Project with the annotations above; template values
        """Also what may be done to its pKEK, on the page of that."""
        may_rotate = request.user.has_perm("keyring.rotate_projectkek")
        button = rotate_button(row) if may_rotate else None
        links = {"links": [button] if button else []}
        return {**super().detail_context(request, row, now=now), **links}

    def detail(self, row: Any, *, now: datetime) -> Detail:  # Any: a Project with the annotations above
        """What the project keeps, each number leading to its list."""
        project = row.external_id
        return Detail(
            kind=self.title,
            title=project,
            state=self.state(row),
            notice=_notice(row),
            sections=(
                Section(
                    title=_("What it keeps here"),
                    facts=tuple(_links(row)),
                ),
                Section(
                    title=_("Use and quota"),
                    bars=tuple(_bars(row)),
                    note=(
                        _("It has a quota of its own.")
                        if hasattr(row, "quota")
                        else _("The deployment's quota holds; it has none of its own.")
                    ),
                ),
                Section(
                    title=_("pKEKs"),
                    timeline=generations(row),
                    note=_("The keys its payloads are sealed under. The first payload makes the first."),
                ),
                Section(
                    title=_("Identity"),
                    facts=(
                        Fact(
                            label=_("Project id"),
                            value=code(project),
                            note=_("As the identity service gave it; it is bound into every ciphertext."),
                        ),
                        Fact(label=_("Row id"), value=code(row.id)),
                        Fact(label=_("First seen"), value=relative(row.created_at, now=now)),
                    ),
                ),
                key_section(row, self.admin_site),
                audit_section(row, self.admin_site),
            ),
        )

    @admin.display(description=gettext_lazy("state"))
    def state(self, project: Project) -> SafeString:
        """Whether its callers are served."""
        return pill(_("Suspended"), Tone.WARNING) if project.suspended_at else pill(_("Served"), Tone.GOOD)

    @admin.display(description=gettext_lazy("secrets"), ordering="live_secrets")
    def secret_count(self, project: Any) -> int:  # Any: a Project with the annotations above
        """Secrets neither deleted nor expired."""
        count: int = project.live_secrets
        return count

    @admin.display(description=gettext_lazy("orders"), ordering="kept_orders")
    def order_count(self, project: Any) -> int:  # Any: a Project with the annotations above
        """Orders not deleted."""
        count: int = project.kept_orders
        return count

    @admin.display(description=gettext_lazy("API keys"), ordering="all_keys")
    def key_count(self, project: Any) -> int:  # Any: a Project with the annotations above
        """API keys, also those that ended."""
        count: int = project.all_keys
        return count

    @admin.display(description=gettext_lazy("first seen"), ordering="created_at")
    def created(self, project: Project) -> SafeString:
        """When it came."""
        return moment(project.created_at)


@admin.register(ProjectQuota)
class ProjectQuotaAdmin(ReadOnlyAdmin):
    """Projects with limits of their own."""

    title = gettext_lazy("Quota")
    title_plural = gettext_lazy("Quotas")
    lead = gettext_lazy(
        "Limits that projects have of their own; for others the deployment's hold. Set on the project's page."
    )
    empty = EmptyState(
        sentence=gettext_lazy("No project has limits of its own: the deployment's hold for all.")
    )
    limit_columns = ("secret_limit", "order_limit", "container_limit", "consumer_limit")
    list_display = ("project_id_shown", *limit_columns, "set_at")
    number_columns = frozenset(limit_columns)
    list_filter = (CreatedFilter, ProjectFilter)
    search_fields = ("project__external_id", "=project__id")
    search_help_text = gettext_lazy("Part of a project id")
    list_select_related = ("project",)
    ordering = ("project__external_id",)

    def detail(self, row: ProjectQuota, *, now: datetime) -> Detail:
        """The limits; what is used stands on the project's page."""
        return Detail(
            kind=self.title,
            title=_("Quota of %(project)s") % {"project": row.project},
            sections=(
                Section(
                    title=_("Limits"),
                    facts=tuple(
                        Fact(label=label, value=_limit(getattr(row, resource)))
                        for resource, label in RESOURCE_WORDS.items()
                    ),
                    note=_("Set on the page of the project."),
                ),
                Section(
                    title=_("Whose they are"),
                    facts=(
                        Fact(
                            label=_("Project"), value=link(detail_url(Project, row.project_id), row.project)
                        ),
                        Fact(label=_("First set"), value=relative(row.created_at, now=now)),
                        Fact(label=_("Last set"), value=relative(row.updated_at, now=now)),
                    ),
                ),
            ),
        )

    @admin.display(description=gettext_lazy("project"), ordering="project__external_id")
    def project_id_shown(self, quota: ProjectQuota) -> SafeString:
        """Whose."""
        return breakable(str(quota.project))

    @admin.display(description=gettext_lazy("secrets"), ordering="secrets")
    def secret_limit(self, quota: ProjectQuota) -> SafeString | str:
        """Its limit."""
        return _limit(quota.secrets)

    @admin.display(description=gettext_lazy("orders"), ordering="orders")
    def order_limit(self, quota: ProjectQuota) -> SafeString | str:
        """Its limit."""
        return _limit(quota.orders)

    @admin.display(description=gettext_lazy("containers"), ordering="containers")
    def container_limit(self, quota: ProjectQuota) -> SafeString | str:
        """Its limit."""
        return _limit(quota.containers)

    @admin.display(description=gettext_lazy("consumers"), ordering="consumers")
    def consumer_limit(self, quota: ProjectQuota) -> SafeString | str:
        """Its limit."""
        return _limit(quota.consumers)

    @admin.display(description=gettext_lazy("last set"), ordering="updated_at")
    def set_at(self, quota: ProjectQuota) -> SafeString:
        """When."""
        return moment(quota.updated_at)


def _near(resource: str, used: str) -> Q:
    """Projects that have nearly all of a resource that they may, by the annotation ``used``."""
    column = f"quota__{resource}"
    own = Q(**{f"{column}__gt": 0, f"{used}__gte": F(column) * quotas.NEAR_PERCENT / 100.0})
    if (default := settings.QUOTAS[resource]) <= 0:
        return own
    none_of_its_own = Q(**{f"{column}__isnull": True})
    return own | none_of_its_own & Q(**{f"{used}__gte": default * quotas.NEAR_PERCENT / 100})


def _limit(limit: int | None) -> SafeString | str:
    if limit is None:
        return missing(_("default"))
    return _("unlimited") if limit < 0 else text(limit)


def _notice(project: Project) -> Notice | None:
    if project.suspended_at is None:
        return None
    since = _("Suspended since %(suspended_at)s: no API request of it is served.") % {
        "suspended_at": written(project.suspended_at)
    }
    return Notice(
        tone=Tone.WARNING,
        message=_("%(since)s Why: %(suspension_reason)s")
        % {"since": since, "suspension_reason": project.suspension_reason},
    )


def _links(row: Any) -> Iterator[Fact]:  # Any: a Project with the annotations of its list
    keeps: tuple[tuple[str, int, str, dict[str, str]], ...] = (
        (_("Live secrets"), row.live_secrets, "secrets_app.Secret", {"state": "live"}),
        (_("Containers"), row.live_containers, "secrets_app.Container", {"state": "live"}),
        (_("Orders"), row.kept_orders, "orders_app.Order", {"state": "kept"}),
        (_("API keys"), row.all_keys, "identity.APIKey", {}),
    )
    for label, number, model, filters in keeps:
        url = list_url(apps.get_model(model), project=row.external_id, **filters)
        yield Fact(label=label, value=link(url, text(number)))


def _bars(row: Any) -> Iterator[Bar]:  # Any: a Project with the annotations of its list
    limits = quotas.effective_limits(row)
    secret_consumers = apps.get_model("secrets_app.SecretConsumer")
    container_consumers = apps.get_model("secrets_app.ContainerConsumer")
    mine = {"project": row, "deleted_at": None}
    used = (
        (_("Secrets"), row.live_secrets, "secrets"),
        (_("Orders"), row.kept_orders, "orders"),
        (_("Containers"), row.live_containers, "containers"),
        (_("Consumers of secrets"), secret_consumers.objects.filter(**mine).count(), "consumers"),
        (_("Consumers of containers"), container_consumers.objects.filter(**mine).count(), "consumers"),
    )
    for label, number, resource in used:
        limit = limits[resource]
        yield Bar(label=label, used=number, limit=None if limit < 0 else limit)


def generations(project: Project) -> tuple[Span, ...]:
    """Its pKEKs over time, the newest first: one statement."""
    pkeks = apps.get_model("keyring.ProjectKEK")
    rows = (
        pkeks.objects.filter(project=project)
        .order_by("-generation")
        .values_list("id", "generation", "state", "created_at", "retired_at", "mkek__label")[:SHOWN_PKEKS]
    )
    spans = []
    until: datetime | None = None
    for pk, generation, state, created_at, retired_at, mkek in rows:
        word, tone = PKEK_WORDS[state]
        spans.append(
            Span(
                label=link(
                    detail_url(pkeks, pk), _("Generation %(generation)s") % {"generation": generation}
                ),
                state=pill(word, tone),
                since=moment(created_at),
                until=moment(until, absent=_("now")),
                note=_("Retired %(retired_at)s") % {"retired_at": written(retired_at, TO_THE_DAY)}
                if retired_at
                else _("Wrapped by MKEK %(mkek)s") % {"mkek": mkek},
            )
        )
        until = created_at
    return tuple(spans)
