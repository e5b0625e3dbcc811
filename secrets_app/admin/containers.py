from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from keepsite.acts import ActingAdmin
from keepsite.acts.recovery import DELETED_WORDS, deleted_notice, deleted_pill, deleted_states
from keepsite.projects.models import Project
from keepsite.readonly import (
    ChoiceFilter,
    CreatedFilter,
    Detail,
    EmptyState,
    Fact,
    Heading,
    ProjectFilter,
    Row,
    Section,
    StateFilter,
    Table,
    Tone,
    breakable,
    code,
    counted,
    detail_url,
    link,
    moment,
    pill,
    relative,
    short_id,
    text,
)
from keepsite.translation import gettext_lazy
from secrets_app.admin.acts import CONTAINER_ACTS
from secrets_app.admin.filters import ACLFilter, UseFilter
from secrets_app.admin.sections import SHOWN, consumer_section, readers_section
from secrets_app.admin.words import CONTAINER_TYPES, SECRET_TYPES
from secrets_app.models import Container, ContainerSecret, Secret
from secrets_app.services import NEEDED_NAMES

CONTAINER_RESTORE = CONTAINER_ACTS[0]
SECRET_HEADINGS = tuple(
    Heading(label=label)
    for label in (
        gettext_lazy("Secret"),
        gettext_lazy("Under the name"),
        gettext_lazy("Type"),
        gettext_lazy("State"),
    )
)


class ContainerTypeFilter(ChoiceFilter):
    """What its secrets are together."""

    title = gettext_lazy("type")
    parameter_name = "type"
    options: ClassVar = tuple((kind, words) for kind, words in CONTAINER_TYPES.items())


@admin.register(Container)
class ContainerAdmin(ActingAdmin):
    """Containers: what they hold, and what they lack."""

    title = gettext_lazy("Container")
    title_plural = gettext_lazy("Containers")
    lead = gettext_lazy(
        "Secrets that belong together. A broken container lacks one: it was deleted, purged or has expired."
    )
    empty = EmptyState(
        sentence=gettext_lazy(
            "No client has made a container yet. They come through the API: POST /v1/containers."
        )
    )
    state_words: ClassVar = {
        "live": gettext_lazy("live"),
        "empty": gettext_lazy("live, empty"),
        "broken": gettext_lazy("live, broken"),
        **DELETED_WORDS,
    }
    list_display = ("label", "state", "kind", "shown_project", "secret_count", "consumer_count", "created")
    number_columns = frozenset({"secret_count", "consumer_count"})
    list_filter = (StateFilter, ContainerTypeFilter, CreatedFilter, ProjectFilter, UseFilter, ACLFilter)
    search_fields = ("=id", "name", "=project__external_id")
    search_help_text = gettext_lazy("Name, id, ref or project id")
    ordering = ("-created_at",)
    acts = CONTAINER_ACTS
    export_fields: ClassVar = {
        "id": "id",
        "name": "name",
        "project": "project__external_id",
        "type": "type",
        "secrets": "places_in_it",
        "consumers": "live_consumers",
        "creator": "creator_id",
        "created": "created_at",
        "updated": "updated_at",
        "deleted": "deleted_at",
        "project_access": "acl__project_access",
    }

    def states(self, now: datetime) -> Mapping[str, Q]:
        """A container that is ``empty`` or ``broken`` is a live one, too."""
        live = Q(deleted_at=None)
        return {
            "live": live,
            "empty": live & ~Q(Exists(_places())),
            "broken": live & _broken(now),
            **deleted_states(now),
        }

    def get_queryset(self, request: HttpRequest) -> QuerySet[Container]:
        """Containers with how much each holds, and whether something is gone."""
        containers: QuerySet[Container] = super().get_queryset(request)
        return containers.select_related("project", "acl").annotate(
            places_in_it=counted(Container, "places"),
            live_consumers=counted(Container, "consumers", Q(deleted_at=None)),
            is_broken=_broken(timezone.now()),
        )

    def detail(self, row: Any, *, now: datetime) -> Detail:  # Any: a Container with the annotations above
        """What it holds, who may read it, who uses it."""
        return Detail(
            kind=self.title,
            title=str(row),
            state=self.state(row),
            notice=(
                deleted_notice(
                    row, noun=_("container"), is_recoverable=CONTAINER_RESTORE.applies_to(row, now=now)
                )
                if row.deleted_at
                else None
            ),
            sections=(
                _secrets_section(row, now),
                readers_section(row),
                consumer_section(row),
                Section(
                    title=_("Whose it is"),
                    facts=(
                        Fact(label=_("Name"), value=text(row.name)),
                        Fact(label=_("Type"), value=CONTAINER_TYPES[row.type]),
                        Fact(
                            label=_("Project"), value=link(detail_url(Project, row.project_id), row.project)
                        ),
                        Fact(label=_("Creator"), value=code(row.creator_id)),
                        Fact(
                            label=_("Container id"), value=code(row.id), note=_("The last part of its ref.")
                        ),
                    ),
                ),
                Section(
                    title=_("Times"),
                    facts=(
                        Fact(label=_("Created"), value=relative(row.created_at, now=now)),
                        Fact(label=_("Updated"), value=relative(row.updated_at, now=now)),
                        Fact(label=_("Deleted"), value=relative(row.deleted_at, now=now)),
                    ),
                ),
            ),
        )

    @admin.display(description=gettext_lazy("name"), ordering="name")
    def label(self, container: Container) -> SafeString | str:
        """The name, or the beginning of the id of a container without one."""
        return container.name or short_id(container.id)

    @admin.display(description=gettext_lazy("state"))
    def state(self, container: Any) -> SafeString:  # Any: a Container with the annotations above
        """Whether it is there, and whole."""
        if container.deleted_at is not None:
            return deleted_pill(is_recoverable=CONTAINER_RESTORE.applies_to(container, now=timezone.now()))
        if container.is_broken:
            return pill(_("Broken"), Tone.BAD)
        if not container.places_in_it:
            return pill(_("Empty"), Tone.WAITING)
        return pill(_("Live"), Tone.GOOD)

    @admin.display(description=gettext_lazy("type"), ordering="type")
    def kind(self, container: Container) -> str:
        """What its secrets are together."""
        return CONTAINER_TYPES[container.type]

    @admin.display(description=gettext_lazy("project"), ordering="project__external_id")
    def shown_project(self, container: Container) -> SafeString:
        """Whose it is."""
        return breakable(str(container.project))

    @admin.display(description=gettext_lazy("secrets"), ordering="places_in_it")
    def secret_count(self, container: Any) -> int:  # Any: a Container with the annotations above
        """How many places it has, also of secrets that are gone."""
        count: int = container.places_in_it
        return count

    @admin.display(description=gettext_lazy("consumers"), ordering="live_consumers")
    def consumer_count(self, container: Any) -> int:  # Any: a Container with the annotations above
        """How many services say that they use it."""
        count: int = container.live_consumers
        return count

    @admin.display(description=gettext_lazy("created"), ordering="created_at")
    def created(self, container: Container) -> SafeString:
        """Since when."""
        return moment(container.created_at)


def _places(**filters: str) -> QuerySet[ContainerSecret]:
    return ContainerSecret.objects.filter(container=OuterRef("pk"), **filters)


def _broken(now: datetime) -> Q:
    """Holds a secret that nobody can see, or has lost one that its type needs to a purge."""
    gone = Q(secret__deleted_at__isnull=False) | Q(secret__expires_at__lte=now)
    broken = Q(Exists(_places().filter(gone)))
    for kind, names in NEEDED_NAMES.items():
        for name in sorted(names):
            broken |= Q(type=kind.value) & Q(Exists(_places())) & ~Q(Exists(_places(name=name)))
    return broken


def _secrets_section(container: Container, now: datetime) -> Section:
    places = (
        ContainerSecret.objects.filter(container=container)
        .select_related("secret")
        .order_by("name", "created_at", "id")[: SHOWN + 1]
    )
    rows = tuple(
        Row.of(
            SECRET_HEADINGS,
            detail_url(Secret, place.secret_id),
            breakable(str(place.secret)),
            text(place.name),
            SECRET_TYPES.get(place.secret.secret_type, place.secret.secret_type),
            _state_of(place.secret, now),
        )
        for place in places
    )
    if not rows:
        return Section(title=_("Secrets in it"), note=_("There are none."))
    return Section(
        title=_("Secrets in it"),
        table=Table(caption=_("Secrets in this container"), headings=SECRET_HEADINGS, rows=rows[:SHOWN]),
        note=_("The first %(shown)s are shown.") % {"shown": SHOWN} if len(rows) > SHOWN else "",
    )


def _state_of(secret: Secret, now: datetime) -> SafeString:
    if secret.deleted_at is not None:
        return pill(_("Deleted"), Tone.BAD)
    return pill(_("Live"), Tone.GOOD) if secret.is_live(now) else pill(_("Expired"), Tone.BAD)
