from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Q
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from keepsite.acts import ActingAdmin
from keepsite.projects.models import Project
from keepsite.readonly import (
    CreatedFilter,
    Detail,
    EmptyState,
    Fact,
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
)
from keepsite.translation import gettext_lazy
from secrets_app.models import Container, ContainerConsumer, Secret, SecretConsumer


class ConsumerAdmin(ActingAdmin):
    """Notes of services that they use something; which kind, its two children say."""

    state_words: ClassVar = {
        "registered": gettext_lazy("registered"),
        "orphaned": gettext_lazy("registered, used object deleted"),
        "removed": gettext_lazy("removed"),
    }
    list_filter = (StateFilter, CreatedFilter, ProjectFilter)
    unseen = ("sha256",)
    ordering = ("-created_at",)
    used: ClassVar[str]  # "secret" or "container"

    def states(self, now: datetime) -> Mapping[str, Q]:  # noqa: ARG002  # they do not change with time
        """A removed one is kept until a purge, and revived when it registers again."""
        registered = Q(deleted_at=None)
        return {
            "registered": registered,
            "orphaned": registered & Q(**{f"{self.used}__deleted_at__isnull": False}),
            "removed": ~registered,
        }

    def facts_of_use(self, row: Any) -> tuple[Fact, ...]:  # Any: a consumer of either kind
        """Who uses it, and for what."""
        raise NotImplementedError  # not abstract: the admin's own metaclass leaves no room for ABC

    def detail(self, row: Any, *, now: datetime) -> Detail:  # Any: a consumer of either kind
        """Who uses what."""
        return Detail(
            kind=self.title,
            title=str(row),
            state=self.state(row),
            sections=(
                Section(title=_("Who uses what"), facts=(*self.facts_of_use(row), self._used_fact(row))),
                Section(
                    title=_("Registration"),
                    facts=(
                        Fact(
                            label=_("By project"),
                            value=link(detail_url(Project, row.project_id), row.project),
                            note=_("Not always the owner: whoever may read may register."),
                        ),
                        Fact(label=_("Registered"), value=relative(row.created_at, now=now)),
                        Fact(label=_("Updated"), value=relative(row.updated_at, now=now)),
                        Fact(label=_("Removed"), value=relative(row.deleted_at, now=now)),
                        Fact(label=_("Row id"), value=code(row.id)),
                    ),
                ),
            ),
        )

    @admin.display(description=gettext_lazy("state"))
    def state(self, consumer: Any) -> SafeString:  # Any: a consumer of either kind
        """Whether it still counts."""
        if consumer.deleted_at is not None:
            return pill(_("Removed"), Tone.QUIET)
        return pill(_("Registered"), Tone.GOOD)

    @admin.display(description=gettext_lazy("uses"))
    def uses(self, consumer: Any) -> SafeString:  # Any: a consumer of either kind
        """What it uses."""
        row = getattr(consumer, self.used)
        return link(detail_url(type(row), row.pk), breakable(str(row)))

    @admin.display(description=gettext_lazy("registered by"), ordering="project__external_id")
    def registrar(self, consumer: Any) -> SafeString:  # Any: a consumer of either kind
        """Whose service it is."""
        return breakable(str(consumer.project))

    @admin.display(description=gettext_lazy("since"), ordering="created_at")
    def since(self, consumer: Any) -> SafeString:  # Any: a consumer of either kind
        """Since when."""
        return moment(consumer.created_at)

    def _used_fact(self, row: Any) -> Fact:  # Any: a consumer of either kind
        model = Secret if self.used == "secret" else Container
        used = getattr(row, self.used)
        return Fact(
            label=_("Secret") if self.used == "secret" else _("Container"),
            value=link(detail_url(model, used.pk), used),
        )


@admin.register(SecretConsumer)
class SecretConsumerAdmin(ConsumerAdmin):
    """Which services use which secrets."""

    title = gettext_lazy("Secret consumer")
    title_plural = gettext_lazy("Secret consumers")
    lead = gettext_lazy(
        "Services that say they use a secret. From microversion 1.2 on they stand in the way of deletion."
    )
    empty = EmptyState(sentence=gettext_lazy("No service has registered as a consumer of a secret."))
    used = "secret"
    list_display = ("resource_id", "state", "service", "resource_type", "uses", "registrar", "since")
    column_words: ClassVar = {
        "resource_id": gettext_lazy("resource id"),
        "service": gettext_lazy("service"),
        "resource_type": gettext_lazy("resource type"),
    }
    search_fields = ("=id", "=secret__id", "secret__name", "service", "resource_type", "resource_id")
    export_fields: ClassVar = {
        "id": "id",
        "secret_id": "secret_id",
        "secret_name": "secret__name",
        "secret_project": "secret__project__external_id",
        "service": "service",
        "resource_type": "resource_type",
        "resource_id": "resource_id",
        "registered_by": "project__external_id",
        "created": "created_at",
        "updated": "updated_at",
        "removed": "deleted_at",
    }
    search_help_text = gettext_lazy("Service, resource, or secret by name, id or ref")
    list_select_related = ("secret", "project")

    def facts_of_use(self, row: SecretConsumer) -> tuple[Fact, ...]:
        """Service and resource."""
        return (
            Fact(label=_("Service"), value=row.service),
            Fact(label=_("Resource type"), value=row.resource_type),
            Fact(label=_("Resource id"), value=code(row.resource_id)),
        )


@admin.register(ContainerConsumer)
class ContainerConsumerAdmin(ConsumerAdmin):
    """Which services use which containers."""

    title = gettext_lazy("Container consumer")
    title_plural = gettext_lazy("Container consumers")
    lead = gettext_lazy("Services, such as load balancers, that say they use a container.")
    empty = EmptyState(sentence=gettext_lazy("No service has registered as a consumer of a container."))
    used = "container"
    list_display = ("name", "state", "url", "uses", "registrar", "since")
    column_words: ClassVar = {"name": gettext_lazy("name"), "url": gettext_lazy("URL")}
    search_fields = ("=id", "=container__id", "container__name", "name", "url")
    export_fields: ClassVar = {
        "id": "id",
        "container_id": "container_id",
        "container_name": "container__name",
        "container_project": "container__project__external_id",
        "name": "name",
        "url": "url",
        "registered_by": "project__external_id",
        "created": "created_at",
        "updated": "updated_at",
        "removed": "deleted_at",
    }
    search_help_text = gettext_lazy("Name, URL, or container by name, id or ref")
    list_select_related = ("container", "project")

    def facts_of_use(self, row: ContainerConsumer) -> tuple[Fact, ...]:
        """Name and URL, which is text here: it leads out of the console."""
        return (Fact(label=_("Name"), value=row.name), Fact(label=_("URL"), value=code(row.url)))
