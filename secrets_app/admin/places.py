from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar

from django.contrib import admin
from django.db.models import Q
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from keepsite.projects.models import Project
from keepsite.readonly import (
    CreatedFilter,
    Detail,
    EmptyState,
    Fact,
    ProjectFilter,
    ReadOnlyAdmin,
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
)
from keepsite.translation import gettext_lazy
from secrets_app.models import Container, ContainerSecret, Secret


class PlaceProjectFilter(ProjectFilter):
    """The project of the container, which is the secret's too."""

    paths = ("container__project__external_id",)


@admin.register(ContainerSecret)
class PlaceAdmin(ReadOnlyAdmin):
    """Which secret is in which container, under which name."""

    title = gettext_lazy("Place in a container")
    title_plural = gettext_lazy("Places in containers")
    lead = gettext_lazy("Which secret is in which container, and under which name.")
    empty = EmptyState(sentence=gettext_lazy("No container holds anything."))
    state_words: ClassVar = {
        "whole": gettext_lazy("container and secret live"),
        "broken": gettext_lazy("secret deleted or expired"),
        "gone": gettext_lazy("container deleted"),
    }
    list_display = ("container_name", "place", "secret_name", "state", "since")
    list_filter = (StateFilter, CreatedFilter, PlaceProjectFilter)
    search_fields = ("=container__id", "=secret__id", "container__name", "secret__name", "=name")
    search_help_text = gettext_lazy("Name, id or ref of container or secret")
    list_select_related = ("container", "secret", "container__project")
    ordering = ("-created_at",)

    def states(self, now: datetime) -> Mapping[str, Q]:
        """Of both ends."""
        gone = Q(secret__deleted_at__isnull=False) | Q(secret__expires_at__lte=now)
        kept = Q(container__deleted_at=None)
        return {"whole": kept & ~gone, "broken": kept & gone, "gone": ~kept}

    def detail(self, row: ContainerSecret, *, now: datetime) -> Detail:
        """Both ends."""
        return Detail(
            kind=self.title,
            title=row.name or _("a place in %(container)s") % {"container": row.container},
            state=self.state(row),
            sections=(
                Section(
                    title=_("What is where"),
                    facts=(
                        Fact(
                            label=_("Container"),
                            value=link(detail_url(Container, row.container_id), row.container),
                        ),
                        Fact(label=_("Under the name"), value=text(row.name)),
                        Fact(label=_("Secret"), value=link(detail_url(Secret, row.secret_id), row.secret)),
                        Fact(
                            label=_("Project"),
                            value=link(detail_url(Project, row.container.project_id), row.container.project),
                        ),
                        Fact(label=_("Since"), value=relative(row.created_at, now=now)),
                        Fact(label=_("Row id"), value=code(row.id)),
                    ),
                ),
            ),
        )

    @admin.display(description=gettext_lazy("container"), ordering="container__name")
    def container_name(self, place: ContainerSecret) -> SafeString:
        """Where."""
        return breakable(str(place.container))

    @admin.display(description=gettext_lazy("under the name"), ordering="name")
    def place(self, place: ContainerSecret) -> SafeString | str:
        """As what."""
        return text(place.name)

    @admin.display(description=gettext_lazy("secret"), ordering="secret__name")
    def secret_name(self, place: ContainerSecret) -> SafeString:
        """What."""
        return link(detail_url(Secret, place.secret_id), breakable(str(place.secret)))

    @admin.display(description=gettext_lazy("state"))
    def state(self, place: ContainerSecret) -> SafeString:
        """Of both ends."""
        if place.container.deleted_at is not None:
            return pill(_("Container deleted"), Tone.QUIET)
        if place.secret.is_live(timezone.now()):
            return pill(_("Live"), Tone.GOOD)
        return pill(_("Secret gone"), Tone.BAD)

    @admin.display(description=gettext_lazy("since"), ordering="created_at")
    def since(self, place: ContainerSecret) -> SafeString:
        """Since when."""
        return moment(place.created_at)
