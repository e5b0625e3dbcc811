from dataclasses import dataclass

from django.db import IntegrityError
from django.db.models import QuerySet
from django.utils import timezone

from keepsite import audit, writes
from keepsite.errors import NotAllowed, NotFound
from keepsite.identity import policy
from keepsite.identity.principal import Principal
from keepsite.ids import new_id
from keepsite.projects.services import ensure_project
from secrets_app.models import Secret, SecretConsumer, triple_sha256
from secrets_app.services.secrets import target_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Which service uses a secret, and for what."""

    service: str
    resource_type: str
    resource_id: str

    @property
    def sha256(self) -> str:
        """The digest the row is found by."""
        return triple_sha256(self.service, self.resource_type, self.resource_id)


def register_consumer(secret: Secret, usage: Usage, *, actor: Principal) -> None:
    """Note that ``usage`` needs ``secret``; doing so again is no error and makes no second row.

    Raises:
        NotAllowed: ``actor`` may not read the secret.

    Source: Barbican API v1, POST /v1/secrets/{secret_id}/consumers.
    """
    policy.require("secret_consumers:post", actor, target_of(secret))
    project = ensure_project(actor.project_id)
    now = timezone.now()
    rows = SecretConsumer.objects.filter(secret=secret, triple_sha256=usage.sha256)
    row = SecretConsumer(
        id=new_id(),
        secret=secret,
        project=project,
        service=usage.service,
        resource_type=usage.resource_type,
        resource_id=usage.resource_id,
        triple_sha256=usage.sha256,
        created_at=now,
        updated_at=now,
    )

    def note() -> None:
        if not rows.update(project=project, updated_at=now, deleted_at=None):
            row.save(force_insert=True)
        Secret.objects.filter(id=secret.id).update(updated_at=now, had_consumers=True)

    noted = rows.filter(updated_at=now, deleted_at=None).exists
    try:
        writes.commit(note, committed=noted)
    except IntegrityError:  # somebody registered the same at the same moment
        writes.commit(note, committed=noted)
    secret.updated_at, secret.had_consumers = now, True
    audit.record("secret_consumer.registered", actor=actor, subject=secret)


def remove_consumer(secret: Secret, usage: Usage, *, actor: Principal) -> None:
    """Take a note back; only its registrar's project and the secret's owner may.

    Raises:
        NotAllowed: ``actor`` belongs to neither.
        NotFound: there is no such consumer.

    Source: Barbican API v1, DELETE /v1/secrets/{secret_id}/consumers.
    """
    policy.require("secret_consumers:delete", actor, target_of(secret))
    row = live_consumers(secret).select_related("project").filter(triple_sha256=usage.sha256).first()
    if row is None:
        raise NotFound("Consumer not found.")
    if actor.project_id not in {row.project.external_id, secret.project.external_id}:
        raise NotAllowed("Removing a consumer that another project registered is not allowed.")
    now = timezone.now()

    def remove() -> None:
        if not SecretConsumer.objects.filter(id=row.id, deleted_at=None).update(deleted_at=now):
            raise NotFound("Consumer not found.")

    writes.commit(remove, committed=SecretConsumer.objects.filter(id=row.id, deleted_at=now).exists)
    audit.record("secret_consumer.removed", actor=actor, subject=secret)


def live_consumers(secret: Secret) -> QuerySet[SecretConsumer]:
    """The consumers of ``secret`` that are registered now, oldest first."""
    return SecretConsumer.objects.filter(secret=secret, deleted_at=None).order_by("created_at", "id")
