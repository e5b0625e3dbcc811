from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import IntegrityError
from django.db.models import Q
from django.utils import timezone

from keepsite import audit, writes
from keepsite.errors import Conflict, InvalidInput, NotFound
from keepsite.idempotency.services import KeyedRequest
from keepsite.identity import policy
from keepsite.identity.principal import Principal
from keepsite.ids import new_id
from keepsite.projects import quotas
from keepsite.projects.services import ensure_project
from secrets_app.choices import ContainerType
from secrets_app.models import Container, ContainerConsumer, ContainerSecret, Secret
from secrets_app.services.access import target_of

PASSPHRASE = "private_key_passphrase"  # noqa: S105  # the name of a place
PLACES = {  # the names a type of container takes, and those it needs if it holds anything
    ContainerType.RSA: (
        frozenset({"public_key", "private_key", PASSPHRASE}),
        frozenset({"public_key", "private_key"}),
    ),
    ContainerType.CERTIFICATE: (
        frozenset({"certificate", "private_key", PASSPHRASE, "intermediates"}),
        frozenset({"certificate"}),
    ),
}
NEEDED_NAMES = {kind: needed for kind, (_, needed) in PLACES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A secret and its name in a container; an empty name is none."""

    secret_id: str
    name: str = ""


def create_container(
    *,
    actor: Principal,
    kind: ContainerType,
    name: str | None,
    places: Sequence[Place],
    keyed: KeyedRequest | None = None,
) -> Container:
    """Make a container of secrets of the caller's project.

    That ``keyed`` made it is committed together with it.

    Raises:
        NotAllowed: ``actor`` may not make containers.
        QuotaReached: the project has as many containers as it may.
        InvalidInput: a name or a secret twice, or names that the type does not take.
        NotFound: a secret is not in the caller's project, or expired.
        TwinInProgress: a request with the key of ``keyed`` was first.

    Source: Barbican API v1, POST /v1/containers.
    """
    policy.require("containers:post", actor)
    check_places(kind, places)
    project = ensure_project(actor.project_id)
    existing = Container.objects.live().filter(project=project).count
    quotas.refuse_if_full(project, "containers", existing)
    wanted = {place.secret_id for place in places}
    found = Secret.objects.live(timezone.now()).filter(project=project, id__in=wanted).count()
    if found != len(wanted):
        raise NotFound("Secret not found: a container holds secrets of its own project only.")
    now = timezone.now()
    container = Container(
        id=new_id(),
        project=project,
        type=kind,
        name=name,
        creator_id=actor.user_id,
        created_at=now,
        updated_at=now,
    )
    rows = [
        ContainerSecret(id=new_id(), container=container, secret_id=place.secret_id, name=place.name)
        for place in places
    ]

    def insert() -> None:
        if keyed is not None:
            keyed.remember(container.id)
        quotas.claim(project, "containers", existing)
        container.save(force_insert=True)
        ContainerSecret.objects.bulk_create(rows)

    writes.commit(insert, committed=Container.objects.filter(id=container.id).exists)
    audit.record("container.created", actor=actor, subject=container)
    return container


def check_places(kind: ContainerType, places: Sequence[Place]) -> None:
    """Refuse what a container of this type cannot hold.

    Raises:
        InvalidInput: says what it can.
    """
    if any(count > 1 for count in Counter(place.name for place in places).values()):
        raise InvalidInput(
            "Every secret_ref of a container needs a name of its own; two have the same, or none."
        )
    if any(count > 1 for count in Counter(place.secret_id for place in places).values()):
        raise InvalidInput("A container may be made with a secret once only; one is named twice.")
    if kind not in PLACES or not places:
        return
    accepted, needed = PLACES[kind]
    names = {place.name for place in places}
    if names - accepted:
        raise InvalidInput(f"A container of type {kind.value} takes the names {', '.join(sorted(accepted))}.")
    if needed - names:
        raise InvalidInput(f"A container of type {kind.value} needs the names {', '.join(sorted(needed))}.")


def delete_container(container: Container, *, actor: Principal) -> None:
    """Take the container away; the secrets in it stay.

    Raises:
        NotAllowed: ``actor`` may not delete it.
        NotFound: it is another project's, or somebody deleted it first.

    Source: Barbican API v1, DELETE /v1/containers/{container_id}.
    """
    policy.require("container:delete", actor, target_of(container))
    if container.project.external_id != actor.project_id:
        raise NotFound("Container not found.")
    deleted_at = timezone.now()

    def mark() -> None:
        if not Container.objects.filter(id=container.id, deleted_at=None).update(deleted_at=deleted_at):
            raise NotFound("Container not found.")
        if container.had_consumers:
            ContainerConsumer.objects.filter(container=container, deleted_at=None).update(
                deleted_at=deleted_at
            )

    writes.commit(mark, committed=Container.objects.filter(id=container.id, deleted_at=deleted_at).exists)
    audit.record("container.deleted", actor=actor, subject=container)


def add_secret(container: Container, place: Place, *, actor: Principal) -> None:
    """Put a secret of the caller's project into a generic container.

    Raises:
        NotAllowed: ``actor`` may not change the container.
        InvalidInput: the container is of another type.
        NotFound: there is no such secret in the caller's project.
        Conflict: it is there under this name already.

    Source: Barbican API v1, POST /v1/containers/{container_id}/secrets.
    """
    policy.require("container_secret:post", actor, target_of(container))
    check_is_generic(container)
    secrets = Secret.objects.live(timezone.now()).in_project(actor.project_id)
    if not secrets.filter(id=place.secret_id).exists():
        raise NotFound("Secret not found.")
    row = ContainerSecret(id=new_id(), container=container, secret_id=place.secret_id, name=place.name)
    try:
        writes.commit(
            lambda: row.save(force_insert=True), committed=ContainerSecret.objects.filter(id=row.id).exists
        )
    except IntegrityError as error:
        raise Conflict("The container holds this secret under this name already.") from error
    audit.record("container_secret.added", actor=actor, subject=container)


def check_is_generic(container: Container) -> None:
    """Refuse to change what a typed container holds.

    Raises:
        InvalidInput: the container is not generic.
    """
    if container.type != ContainerType.GENERIC:
        raise InvalidInput(
            f"Secrets can be added to generic containers only; this one is of type {container.type}."
        )


def containers_in_need_of(secret: Secret) -> list[str]:
    """The ids of the live containers whose type needs what ``secret`` is to them, such as a private key."""
    needed = Q(pk__in=[])
    for kind, names in NEEDED_NAMES.items():
        needed |= Q(container__type=kind, name__in=names)
    places = ContainerSecret.objects.filter(needed, secret=secret, container__deleted_at=None)
    return list(places.order_by("container_id").values_list("container_id", flat=True).distinct())


def remove_secret(container: Container, place: Place, *, actor: Principal) -> None:
    """Take a secret out of a container; the secret stays.

    Raises:
        NotAllowed: ``actor`` may not change the container.
        NotFound: it does not hold this secret under this name.

    Source: Barbican API v1, DELETE /v1/containers/{container_id}/secrets.
    """
    policy.require("container_secret:delete", actor, target_of(container))
    rows = ContainerSecret.objects.filter(
        container=container, secret_id=place.secret_id, name=place.name, secret__deleted_at=None
    )

    def remove() -> None:
        if not rows.exists():
            raise NotFound("The container does not hold this secret under this name.")
        ContainerSecret.objects.filter(
            container=container, secret_id=place.secret_id, name=place.name
        ).delete()

    writes.commit(remove, committed=lambda: not rows.exists())
    audit.record("container_secret.removed", actor=actor, subject=container)
