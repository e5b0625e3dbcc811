from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce
from django.http import HttpRequest
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
    counted,
    detail_url,
    link,
    moment,
    pill,
    relative,
)
from keepsite.translation import gettext_lazy
from secrets_app.admin.sections import readers_section
from secrets_app.models import ACL


class ACLProjectFilter(ProjectFilter):
    """The project of what the ACL protects."""

    paths = ("secret__project__external_id", "container__project__external_id")


@admin.register(ACL)
class ACLAdmin(ActingAdmin):
    """Which secrets and containers are private, or opened to users of other projects."""

    title = gettext_lazy("ACL")
    title_plural = gettext_lazy("ACLs")
    lead = gettext_lazy(
        "What is private to its creator, or opened to users of other projects. Without an ACL, roles decide."
    )
    empty = EmptyState(sentence=gettext_lazy("There is no ACL: everywhere roles decide alone."))
    state_words: ClassVar = {
        "private": gettext_lazy("private"),
        "shared": gettext_lazy("not private"),
        "named": gettext_lazy("names users"),
    }
    list_display = ("about", "state", "kind", "shown_project", "reader_count", "updated")
    number_columns = frozenset({"reader_count"})
    list_filter = (StateFilter, CreatedFilter, ACLProjectFilter)
    search_fields = (
        "=id",
        "=secret__id",
        "=container__id",
        "secret__name",
        "container__name",
        "=users__user_id",
    )
    search_help_text = gettext_lazy("User id, or secret or container by name, id or ref")
    ordering = ("-updated_at",)
    export_fields: ClassVar = {
        "id": "id",
        "secret_id": "secret_id",
        "secret_name": "secret__name",
        "container_id": "container_id",
        "container_name": "container__name",
        "project": "project_of_it",
        "project_access": "project_access",
        "created": "created_at",
        "updated": "updated_at",
    }
    export_lists: ClassVar = {"users": "users__user_id"}

    def states(self, now: datetime) -> Mapping[str, Q]:  # noqa: ARG002  # they do not change with time
        """A private one may name users, too."""
        return {
            "private": Q(project_access=False),
            "shared": Q(project_access=True),
            "named": Q(readers__gt=0),
        }

    def get_queryset(self, request: HttpRequest) -> QuerySet[ACL]:
        """ACLs with what they are about and how many users they name."""
        acls: QuerySet[ACL] = super().get_queryset(request)
        return acls.select_related("secret__project", "container__project").annotate(
            readers=counted(ACL, "users"),
            project_of_it=Coalesce("secret__project__external_id", "container__project__external_id"),
        )

    def detail(self, row: ACL, *, now: datetime) -> Detail:
        """What it is about, and whom it lets read."""
        about = row.secret or row.container
        if about is None:
            raise AssertionError("a constraint of the table says that it is about one of them")
        about.acl = row
        return Detail(
            kind=self.title,
            title=_("ACL of %(about)s") % {"about": about},
            state=self.state(row),
            sections=(
                Section(
                    title=_("What it is about"),
                    facts=(
                        Fact(label=self.kind(row), value=link(detail_url(type(about), about.pk), about)),
                        Fact(
                            label=_("Project"),
                            value=link(detail_url(Project, about.project_id), about.project),
                        ),
                        Fact(label=_("Creator"), value=code(about.creator_id)),
                        Fact(label=_("Made"), value=relative(row.created_at, now=now)),
                        Fact(label=_("Updated"), value=relative(row.updated_at, now=now)),
                        Fact(label=_("Row id"), value=code(row.id)),
                    ),
                ),
                readers_section(about),
            ),
        )

    @admin.display(description=gettext_lazy("about"))
    def about(self, acl: ACL) -> SafeString:
        """What it is about."""
        return breakable(str(acl.secret or acl.container))

    @admin.display(description=gettext_lazy("kind"))
    def kind(self, acl: ACL) -> str:
        """Which kind that is."""
        return _("Secret") if acl.secret_id else _("Container")

    @admin.display(description=gettext_lazy("state"), ordering="project_access")
    def state(self, acl: ACL) -> SafeString:
        """Whether it shuts the project out."""
        return pill(_("Not private"), Tone.QUIET) if acl.project_access else pill(_("Private"), Tone.WARNING)

    @admin.display(description=gettext_lazy("project"))
    def shown_project(self, acl: ACL) -> SafeString:
        """Whose it is."""
        about: Any = acl.secret or acl.container  # Any: one of the two is there
        return breakable(str(about.project))

    @admin.display(description=gettext_lazy("users"), ordering="readers")
    def reader_count(self, acl: Any) -> int:  # Any: an ACL with the annotation above
        """How many users it names."""
        count: int = acl.readers
        return count

    @admin.display(description=gettext_lazy("updated"), ordering="updated_at")
    def updated(self, acl: ACL) -> SafeString:
        """When it last changed."""
        return moment(acl.updated_at)
