from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.apps import apps
from django.contrib import admin
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from keepsite.projects.models import Project
from keepsite.readonly import (
    Detail,
    EmptyState,
    Fact,
    ReadOnlyAdmin,
    Section,
    StateFilter,
    code,
    counted,
    link,
    list_url,
    moment,
    relative,
    text,
)

NEW = timedelta(days=7)


@admin.register(Project)
class ProjectAdmin(ReadOnlyAdmin):
    """Projects and how much they keep here."""

    title = "Project"
    title_plural = "Projects"
    lead = "A project appears with its first secret, order or API key."
    empty = EmptyState(
        sentence="No project has stored anything yet.",
        commands=("manage.py api_key create --project PROJECT --user USER --role member --name 'first key'",),
    )
    state_words: ClassVar = {
        "keyed": "with a pKEK",
        "bare": "without a pKEK yet",
        "new": f"first seen in the past {NEW.days} days",
    }
    list_display = ("external_id", "secret_count", "order_count", "key_count", "created")
    number_columns = frozenset({"secret_count", "order_count", "key_count"})
    list_filter = (StateFilter,)
    search_fields = ("external_id", "=id")
    search_help_text = "Part of a project id"
    ordering = ("external_id",)

    def states(self, now: datetime) -> Mapping[str, Q]:
        """A project has a pKEK from its first payload on."""
        pkeks = apps.get_model("keyring.ProjectKEK")
        keyed = Q(Exists(pkeks.objects.filter(project=OuterRef("pk"))))
        return {"keyed": keyed, "bare": ~keyed, "new": Q(created_at__gte=now - NEW)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Project]:
        """Projects with how many live secrets, orders and API keys each has."""
        projects: QuerySet[Project] = super().get_queryset(request)
        live = Q(deleted_at=None) & (Q(expires_at=None) | Q(expires_at__gt=timezone.now()))
        return projects.annotate(
            live_secrets=counted(Project, "secrets", live),
            kept_orders=counted(Project, "orders", Q(deleted_at=None)),
            all_keys=counted(Project, "api_keys"),
        )

    def detail(self, row: Any, *, now: datetime) -> Detail:  # Any: a Project with the annotations above
        """What the project keeps, each number leading to its list."""
        project = row.external_id
        keeps: tuple[tuple[str, int, str, dict[str, str]], ...] = (
            ("Live secrets", row.live_secrets, "secrets_app.Secret", {"state": "live"}),
            ("Orders", row.kept_orders, "orders_app.Order", {"state": "kept"}),
            ("API keys", row.all_keys, "identity.APIKey", {}),
        )
        return Detail(
            kind=self.title,
            title=project,
            sections=(
                Section(
                    title="What it keeps here",
                    facts=(
                        *(
                            Fact(
                                label=label,
                                value=link(
                                    list_url(apps.get_model(model), project=project, **filters), text(number)
                                ),
                            )
                            for label, number, model, filters in keeps
                        ),
                        Fact(
                            label="pKEKs",
                            value=link(
                                list_url(apps.get_model("keyring.ProjectKEK"), project=project),
                                "all generations",
                            ),
                            note="The keys its payloads are sealed under.",
                        ),
                    ),
                ),
                Section(
                    title="Identity",
                    facts=(
                        Fact(
                            label="Project id",
                            value=code(project),
                            note="As the identity service gave it; it is bound into every ciphertext.",
                        ),
                        Fact(label="Row id", value=code(row.id)),
                        Fact(label="First seen", value=relative(row.created_at, now=now)),
                    ),
                ),
            ),
        )

    @admin.display(description="secrets", ordering="live_secrets")
    def secret_count(self, project: Any) -> int:  # Any: a Project with the annotations above
        """Secrets neither deleted nor expired."""
        count: int = project.live_secrets
        return count

    @admin.display(description="orders", ordering="kept_orders")
    def order_count(self, project: Any) -> int:  # Any: a Project with the annotations above
        """Orders not deleted."""
        count: int = project.kept_orders
        return count

    @admin.display(description="API keys", ordering="all_keys")
    def key_count(self, project: Any) -> int:  # Any: a Project with the annotations above
        """API keys, also those that ended."""
        count: int = project.all_keys
        return count

    @admin.display(description="first seen (UTC)", ordering="created_at")
    def created(self, project: Project) -> SafeString:
        """When it came."""
        return moment(project.created_at)
