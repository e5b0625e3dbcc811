from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

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
from secrets_app.admin.acts import SECRET_ACTS
from secrets_app.admin.filters import ACLFilter, ReadFilter, UseFilter
from secrets_app.admin.sections import SHOWN, consumer_section, readers_section
from secrets_app.choices import SecretType
from secrets_app.models import Container, ContainerSecret, Payload, Secret

EXAMPLE = """\
curl "$KEEPSITE_URL/v1/secrets" -H "X-Auth-Token: $API_KEY" \\
  -H 'Content-Type: application/json' \\
  -d '{"name": "first", "payload": "hello", "payload_content_type": "text/plain"}'"""

PLACE_HEADINGS = tuple(Heading(label=label) for label in ("Container", "Type", "Under the name", "State"))
SECRET_RESTORE = SECRET_ACTS[0]


class TypeFilter(ChoiceFilter):
    """What clients say their payloads are."""

    title = "type"
    parameter_name = "secret_type"
    options: ClassVar = tuple((kind.value, kind.value) for kind in SecretType)


class AlgorithmFilter(ChoiceFilter):
    """What clients say their keys are for; they spell it as they like."""

    title = "algorithm"
    parameter_name = "algorithm"
    options = (
        ("aes", "AES"),
        ("rsa", "RSA"),
        ("ec", "EC"),
        ("hmac", "HMAC"),
        ("des", "DES, 3DES"),
        ("other", "another"),
        ("none", "none given"),
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

    title = "Secret"
    title_plural = "Secrets"
    lead = "What is known about secrets. Payloads are not shown in the console, sealed or open."
    empty = EmptyState(
        sentence="No secret has been stored yet. Clients store them through the API.",
        commands=(EXAMPLE,),
    )
    state_words: ClassVar = {
        "live": "live",
        "empty": "live, without payload",
        "expired": "expired",
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
    )
    search_fields = ("=id", "name", "=project__external_id")
    search_help_text = "Name, id, ref or project id"
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
                    title="What its owner says it is",
                    facts=(
                        Fact(label="Name", value=text(row.name)),
                        Fact(label="Type", value=row.get_secret_type_display()),
                        Fact(label="Algorithm", value=text(row.algorithm)),
                        Fact(label="Length", value=bits(row.bit_length)),
                        Fact(label="Mode", value=text(row.mode)),
                    ),
                    note="As given by the client; it is not checked against the payload.",
                ),
                _payload_section(row, now),
                Section(
                    title="Whose it is",
                    facts=(
                        Fact(label="Project", value=link(detail_url(Project, row.project_id), row.project)),
                        Fact(label="Creator", value=code(row.creator_id)),
                        Fact(label="Secret id", value=code(row.id), note="The last part of its ref."),
                    ),
                ),
                Section(
                    title="Times",
                    facts=(
                        Fact(label="Created", value=relative(row.created_at, now=now)),
                        Fact(label="Updated", value=relative(row.updated_at, now=now)),
                        Fact(label="Expires", value=relative(row.expires_at, now=now)),
                        Fact(label="Deleted", value=relative(row.deleted_at, now=now)),
                    ),
                ),
                readers_section(row),
                _places_section(row),
                consumer_section(row),
            ),
        )

    @admin.display(description="name", ordering="name")
    def label(self, secret: Secret) -> SafeString | str:
        """The name, or the beginning of the id of a secret without one."""
        return secret.name or short_id(secret.id)

    @admin.display(description="state")
    def state(self, secret: Secret) -> SafeString:
        """Whether anybody can still see it."""
        return _pill(secret, timezone.now())

    @admin.display(description="type", ordering="secret_type")
    def kind(self, secret: Secret) -> SafeString:
        """What its owner says it is, with algorithm and length as far as given."""
        length = "" if secret.bit_length is None else str(bits(secret.bit_length))
        key = " ".join(part for part in (secret.algorithm, length) if part)
        parts = (secret.get_secret_type_display(), unbroken(key) if key else "")
        return format_html_join(", ", "{}", ((part,) for part in parts if part))

    @admin.display(description="project", ordering="project__external_id")
    def shown_project(self, secret: Secret) -> SafeString:
        """Whose it is."""
        return breakable(str(secret.project))

    @admin.display(description="payload", ordering="payload_bytes")
    def size(self, secret: Any) -> SafeString | str:  # Any: a Secret with the annotation above
        """How large the payload is, unsealed."""
        return data_size(secret.payload_bytes, absent="none yet")

    @admin.display(description="created", ordering="created_at")
    def created(self, secret: Secret) -> SafeString:
        """Since when."""
        return moment(secret.created_at)

    @admin.display(description="expires", ordering="expires_at")
    def expires(self, secret: Secret) -> SafeString:
        """Until when."""
        return day(secret.expires_at)


def _pill(secret: Secret, now: datetime) -> SafeString:
    if secret.deleted_at is not None:
        return deleted_pill(is_recoverable=SECRET_RESTORE.applies_to(secret, now=now))
    if not secret.is_live(now):
        return pill("Expired", Tone.QUIET)
    if secret.content_type is None:
        return pill("No payload", Tone.WAITING)
    return pill("Live", Tone.GOOD)


def _notice(secret: Secret, now: datetime) -> Notice | None:
    if secret.deleted_at is None:
        return None
    return deleted_notice(secret, noun="secret", is_recoverable=SECRET_RESTORE.applies_to(secret, now=now))


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
            title="Payload", note="There is none yet. A client may store it once, in a second step."
        )
    size_bytes, stored_at, pkek_id, generation, mkek_id, mkek_label = known
    return Section(
        title="Payload",
        facts=(
            Fact(label="Content type", value=text(secret.content_type)),
            Fact(label="Size", value=data_size(size_bytes)),
            Fact(
                label="Sealed by",
                value=link(detail_url(ProjectKEK, pkek_id), f"pKEK generation {generation}"),
            ),
            Fact(label="Under", value=link(detail_url(MKEK, mkek_id), f"MKEK {mkek_label}")),
            Fact(label="Stored", value=relative(stored_at, now=now)),
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
            place.container.get_type_display(),
            text(place.name),
            "deleted" if place.container.deleted_at else "live",
        )
        for place in places
    )
    if not rows:
        return Section(title="In containers", note="It is in no container.")
    return Section(
        title="In containers",
        table=Table(caption="Containers that hold this secret", headings=PLACE_HEADINGS, rows=rows[:SHOWN]),
        note=f"The first {SHOWN} are shown." if len(rows) > SHOWN else "",
    )
