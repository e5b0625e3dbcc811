from dataclasses import asdict, dataclass
from typing import Any

from django.db import IntegrityError
from django.db.models import QuerySet
from django.utils import timezone

from keepsite import audit, writes
from keepsite.errors import NotAllowed, NotFound
from keepsite.identity import policy
from keepsite.identity.principal import Principal
from keepsite.ids import new_id
from keepsite.projects import quotas
from keepsite.projects.services import ensure_project
from secrets_app.models import Container, ContainerConsumer, Secret, SecretConsumer, digest
from secrets_app.services.access import kind_of, target_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretUse:
    """Which service uses a secret, and for what."""

    service: str
    resource_type: str
    resource_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerUse:
    """Who uses a container, and where they are found."""

    name: str
    url: str


Use = SecretUse | ContainerUse


def register_consumer(subject: Secret | Container, use: Use, *, actor: Principal) -> None:
    """Note that ``use`` needs ``subject``; doing so again is no error and makes no second row.

    Raises:
        NotAllowed: ``actor`` may not read the subject.
        QuotaReached: the caller's project has registered as many as it may.

    Source: Barbican API v1, POST /v1/secrets/{secret_id}/consumers.
    """
    policy.require(f"{kind_of(subject)}_consumers:post", actor, target_of(subject))
    project = ensure_project(actor.project_id)
    now = timezone.now()
    rows = _of(subject).filter(sha256=_digest(use))
    existing = _of(subject).model.objects.filter(project=project, deleted_at=None).count
    row = _of(subject).model(
        id=new_id(), project=project, sha256=_digest(use), created_at=now, updated_at=now,
        **{kind_of(subject): subject}, **asdict(use),
    )  # fmt: skip

    def note() -> None:
        if not rows.filter(deleted_at=None).exists():  # a repeat needs no room
            quotas.claim(project, "consumers", existing)
        if not rows.update(project=project, updated_at=now, deleted_at=None):
            row.save(force_insert=True)
        type(subject).objects.filter(id=subject.id).update(updated_at=now, had_consumers=True)

    noted = rows.filter(updated_at=now, deleted_at=None).exists
    try:
        writes.commit(note, committed=noted)
    except IntegrityError:  # somebody registered the same at the same moment
        writes.commit(note, committed=noted)
    subject.updated_at, subject.had_consumers = now, True
    audit.record(f"{kind_of(subject)}_consumer.registered", actor=actor, subject=subject)


def remove_consumer(subject: Secret | Container, use: Use, *, actor: Principal) -> None:
    """Take a note back; only its registrar's project and the subject's owner may.

    Raises:
        NotAllowed: ``actor`` belongs to neither.
        NotFound: there is no such consumer.

    Source: Barbican API v1, DELETE /v1/secrets/{secret_id}/consumers.
    """
    policy.require(f"{kind_of(subject)}_consumers:delete", actor, target_of(subject))
    row = live_consumers(subject).select_related("project").filter(sha256=_digest(use)).first()
    if row is None:
        raise NotFound("Consumer not found.")
    if actor.project_id not in {row.project.external_id, subject.project.external_id}:
        raise NotAllowed("Removing a consumer that another project registered is not allowed.")
    now = timezone.now()

    def remove() -> None:
        if not live_consumers(subject).filter(id=row.id).update(deleted_at=now):
            raise NotFound("Consumer not found.")

    writes.commit(remove, committed=_of(subject).filter(id=row.id, deleted_at=now).exists)
    audit.record(f"{kind_of(subject)}_consumer.removed", actor=actor, subject=subject)


def live_consumers(subject: Secret | Container) -> QuerySet[Any]:  # Any: rows of either kind
    """The consumers of ``subject`` that are registered now, oldest first."""
    return _of(subject).filter(deleted_at=None).order_by("created_at", "id")


def _of(subject: Secret | Container) -> QuerySet[Any]:  # Any: rows of either kind
    if isinstance(subject, Secret):
        return SecretConsumer.objects.filter(secret=subject)
    return ContainerConsumer.objects.filter(container=subject)


def _digest(use: Use) -> str:
    return digest(*asdict(use).values())
