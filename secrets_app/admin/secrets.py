from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from keepsite.acts import ActingAdmin
from keepsite.acts.recovery import DELETED_WORDS, deleted_notice, deleted_pill, deleted_states
from keepsite.keyring.models import MKEK, ProjectKEK
from keepsite.projects.models import Project
from keepsite.readonly import (
    ChoiceFilter,
    CreatedFilter,
    Detail,
    EmptyState,
    ExpiringFilter,
    Fact,
    Heading,
    Notice,
    ProjectFilter,
    Row,
    Section,
    StateFilter,
    Table,
    Tone,
    bits,
    breakable,
    code,
    data_size,
    day,
    detail_url,
    link,
    moment,
    pill,
    relative,
    short_id,
    text,
    unbroken,
)
from keepsite.translation import gettext_lazy, lowercased
from secrets_app.admin.acts import SECRET_ACTS
from secrets_app.admin.filters import ACLFilter, MKEKFilter, ReadFilter, SealedFilter, UseFilter
from secrets_app.admin.sections import SHOWN, consumer_section, readers_section
from secrets_app.admin.words import CONTAINER_TYPES, SECRET_TYPES
from secrets_app.models import Container, ContainerSecret, Payload, Secret

EXAMPLE = """\
curl "$KEEPSITE_URL/v1/secrets" -H "X-Auth-Token: $API_KEY" \\
  -H 'Content-Type: application/json' \\
  -d '{"name": "first", "payload": "hello", "payload_content_type": "text/plain"}'"""

PLACE_HEADINGS = tuple(
    Heading(label=label)
    for label in (
        gettext_lazy("Container"),
        gettext_lazy("Type"),
        gettext_lazy("Under the name"),
        gettext_lazy("State"),
    )
)
SECRET_RESTORE = SECRET_ACTS[0]


class TypeFilter(ChoiceFilter):
    """What clients say their payloads are."""

    title = gettext_lazy("type")
    parameter_name = "secret_type"
    options: ClassVar = tuple((kind, lowercased(words)) for kind, words in SECRET_TYPES.items())


class AlgorithmFilter(ChoiceFilter):
    """What clients say their keys are for; they spell it as they like."""

    title = gettext_lazy("algorithm")
    parameter_name = "algorithm"
    options = (
        ("aes", gettext_lazy("AES")),
        ("rsa", gettext_lazy("RSA")),
        ("ec", gettext_lazy("EC")),
        ("hmac", gettext_lazy("HMAC")),
        ("des", gettext_lazy("DES, 3DES")),
        ("other", gettext_lazy("another")),
        ("none", gettext_lazy("none given")),
    )
    spellings: ClassVar[dict[str, Q]] = {
        "aes": Q(algorithm__istartswith="aes"),
        "rsa": Q(algorithm__istartswith="rsa"),
        "ec": Q(algorithm__istartswith="ec") | Q(algorithm__istartswith="ed"),
        "hmac": Q(algorithm__istartswith="hmac"),
        "des": Q(algorithm__istartswith="des") | Q(algorithm__istartswith="3des"),
    }

    def chosen(self, rows: QuerySet[Secret], choice: str) -> QuerySet[Secret]:
        """By the beginning of the name."""
        nothing = Q(algorithm=None) | Q(algorithm="")
        if choice == "none":
            return rows.filter(nothing)
        if choice == "other":
            known = Q()
            for spelling in self.spellings.values():
                known |= spelling
            return rows.exclude(nothing | known)
        return rows.filter(self.spellings[choice])


@admin.register(Secret)
class SecretAdmin(ActingAdmin):
    """What is known about secrets; payloads are not to be seen here, sealed or open."""

    title = gettext_lazy("Secret")
    title_plural = gettext_lazy("Secrets")
    lead = gettext_lazy("What is known about secrets. Payloads are not shown in the console, sealed or open.")
    empty = EmptyState(
        sentence=gettext_lazy("No secret has been stored yet. Clients store them through the API."),
        commands=(EXAMPLE,),
    )
    state_words: ClassVar = {
        "live": gettext_lazy("live"),
        "empty": gettext_lazy("live, without payload"),
        "expired": gettext_lazy("expired"),
        **DELETED_WORDS,
    }
    list_display = ("label", "state", "kind", "shown_project", "size", "created", "expires")
    number_columns = frozenset({"size"})
    list_filter = (
        StateFilter,
        TypeFilter,
        CreatedFilter,
        ProjectFilter,
        AlgorithmFilter,
        ExpiringFilter,
        UseFilter,
        ReadFilter,
        ACLFilter,
        SealedFilter,
        MKEKFilter,
    )
    search_fields = ("=id", "name", "=project__external_id")
    search_help_text = gettext_lazy("Name, id, ref or project id")
    ordering = ("-created_at",)
    acts = SECRET_ACTS
    export_fields: ClassVar = {
        "id": "id",
        "name": "name",
        "project": "project__external_id",
        "type": "secret_type",
        "algorithm": "algorithm",
        "bit_length": "bit_length",
        "mode": "mode",
        "content_type": "content_type",
        "payload_bytes": "payload__size_bytes",
        "creator": "creator_id",
        "created": "created_at",
        "updated": "updated_at",
        "expires": "expires_at",
        "deleted": "deleted_at",
        "project_access": "acl__project_access",
    }

    def states(self, now: datetime) -> Mapping[str, Q]:
        """A secret that is ``empty`` is a live one, too."""
        live = Q(deleted_at=None) & (Q(expires_at=None) | Q(expires_at__gt=now))
        deleted = deleted_states(now)
        return {
            "live": live,
            "empty": live & Q(content_type=None),
            "expired": Q(deleted_at=None, expires_at__lte=now),
            **deleted,
            "recoverable": deleted["recoverable"] & (Q(expires_at=None) | Q(expires_at__gt=now)),
        }

    def get_queryset(self, request: HttpRequest) -> QuerySet[Secret]:
        """Secrets with their project and the size of their payload, and nothing else of the payload."""
        secrets: QuerySet[Secret] = super().get_queryset(request)
        return secrets.select_related("project", "acl").annotate(payload_bytes=F("payload__size_bytes"))

    def detail(self, row: Secret, *, now: datetime) -> Detail:
        """Everything but the payload."""
        return Detail(
            kind=self.title,
            title=str(row),
            state=_pill(row, now),
            notice=_notice(row, now),
            sections=(
                Section(
                    title=_("What its owner says it is"),
                    facts=(
                        Fact(label=_("Name"), value=text(row.name)),
                        Fact(label=_("Type"), value=SECRET_TYPES.get(row.secret_type, row.secret_type)),
                        Fact(label=_("Algorithm"), value=text(row.algorithm)),
                        Fact(label=_("Length"), value=bits(row.bit_length)),
                        Fact(label=_("Mode"), value=text(row.mode)),
                    ),
                    note=_("As given by the client; it is not checked against the payload."),
                ),
                _payload_section(row, now),
                Section(
                    title=_("Whose it is"),
                    facts=(
                        Fact(
                            label=_("Project"), value=link(detail_url(Project, row.project_id), row.project)
                        ),
                        Fact(label=_("Creator"), value=code(row.creator_id)),
                        Fact(label=_("Secret id"), value=code(row.id), note=_("The last part of its ref.")),
                    ),
                ),
                Section(
                    title=_("Times"),
                    facts=(
                        Fact(label=_("Created"), value=relative(row.created_at, now=now)),
                        Fact(label=_("Updated"), value=relative(row.updated_at, now=now)),
                        Fact(label=_("Expires"), value=relative(row.expires_at, now=now)),
                        Fact(label=_("Deleted"), value=relative(row.deleted_at, now=now)),
                    ),
                ),
                readers_section(row),
                _places_section(row),
                consumer_section(row),
            ),
        )

    @admin.display(description=gettext_lazy("name"), ordering="name")
    def label(self, secret: Secret) -> SafeString | str:
        """The name, or the beginning of the id of a secret without one."""
        return secret.name or short_id(secret.id)

    @admin.display(description=gettext_lazy("state"))
    def state(self, secret: Secret) -> SafeString:
        """Whether anybody can still see it."""
        return _pill(secret, timezone.now())

    @admin.display(description=gettext_lazy("type"), ordering="secret_type")
    def kind(self, secret: Secret) -> SafeString:
        """What its owner says it is, with algorithm and length as far as given."""
        length = "" if secret.bit_length is None else str(bits(secret.bit_length))
        key = " ".join(part for part in (secret.algorithm, length) if part)
        parts = (str(SECRET_TYPES.get(secret.secret_type, secret.secret_type)), unbroken(key) if key else "")
        return format_html_join(", ", "{}", ((part,) for part in parts if part))

    @admin.display(description=gettext_lazy("project"), ordering="project__external_id")
    def shown_project(self, secret: Secret) -> SafeString:
        """Whose it is."""
        return breakable(str(secret.project))

    @admin.display(description=gettext_lazy("payload"), ordering="payload_bytes")
    def size(self, secret: Any) -> SafeString | str:  # Any: a Secret with the annotation above
        """How large the payload is, unsealed."""
        return data_size(secret.payload_bytes, absent=_("none yet"))

    @admin.display(description=gettext_lazy("created"), ordering="created_at")
    def created(self, secret: Secret) -> SafeString:
        """Since when."""
        return moment(secret.created_at)

    @admin.display(description=gettext_lazy("expires"), ordering="expires_at")
    def expires(self, secret: Secret) -> SafeString:
        """Until when."""
        return day(secret.expires_at)


def _pill(secret: Secret, now: datetime) -> SafeString:
    if secret.deleted_at is not None:
        return deleted_pill(is_recoverable=SECRET_RESTORE.applies_to(secret, now=now))
    if not secret.is_live(now):
        return pill(_("Expired"), Tone.QUIET)
    if secret.content_type is None:
        return pill(_("No payload"), Tone.WAITING)
    return pill(_("Live"), Tone.GOOD)


def _notice(secret: Secret, now: datetime) -> Notice | None:
    if secret.is_live(now):
        return None
    if secret.deleted_at is None:
        return Notice(
            tone=Tone.QUIET,
            message=_(
                "This secret has expired: no client sees it, and nothing brings it back. It stays here,"
                " sealed, until it is deleted and purged."
            ),
        )
    return deleted_notice(secret, noun=_("secret"), is_recoverable=SECRET_RESTORE.applies_to(secret, now=now))


def _payload_section(secret: Secret, now: datetime) -> Section:
    known = (
        Payload.objects.filter(secret=secret)
        .values_list(
            "size_bytes", "created_at", "pkek_id", "pkek__generation", "pkek__mkek_id", "pkek__mkek__label"
        )
        .first()
    )
    if known is None:
        return Section(
            title=_("Payload"), note=_("There is none yet. A client may store it once, in a second step.")
        )
    size_bytes, stored_at, pkek_id, generation, mkek_id, mkek_label = known
    return Section(
        title=_("Payload"),
        facts=(
            Fact(label=_("Content type"), value=text(secret.content_type)),
            Fact(label=_("Size"), value=data_size(size_bytes)),
            Fact(
                label=_("Sealed by"),
                value=link(
                    detail_url(ProjectKEK, pkek_id),
                    _("pKEK generation %(generation)s") % {"generation": generation},
                ),
            ),
            Fact(
                label=_("Under"),
                value=link(detail_url(MKEK, mkek_id), _("MKEK %(mkek_label)s") % {"mkek_label": mkek_label}),
            ),
            Fact(label=_("Stored"), value=relative(stored_at, now=now)),
        ),
    )


def _places_section(secret: Secret) -> Section:
    places = (
        ContainerSecret.objects.filter(secret=secret)
        .select_related("container")
        .order_by("container__created_at", "id")[: SHOWN + 1]
    )
    rows = tuple(
        Row.of(
            PLACE_HEADINGS,
            detail_url(Container, place.container_id),
            breakable(str(place.container)),
            CONTAINER_TYPES[place.container.type],
            text(place.name),
            _("deleted") if place.container.deleted_at else _("live"),
        )
        for place in places
    )
    if not rows:
        return Section(title=_("In containers"), note=_("It is in no container."))
    return Section(
        title=_("In containers"),
        table=Table(
            caption=_("Containers that hold this secret"), headings=PLACE_HEADINGS, rows=rows[:SHOWN]
        ),
        note=_("The first %(shown)s are shown.") % {"shown": SHOWN} if len(rows) > SHOWN else "",
    )
