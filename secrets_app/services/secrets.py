from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.utils import timezone

from keepsite import audit, writes
from keepsite.errors import Conflict, InvalidInput, NotFound
from keepsite.idempotency.services import KeyedRequest
from keepsite.identity import policy
from keepsite.identity.principal import Principal
from keepsite.ids import new_id
from keepsite.keyring import services as keyring
from keepsite.keyring.models import ProjectKEK
from keepsite.keyring.sealed import Plaintext, Sealed
from keepsite.projects import quotas
from keepsite.projects.models import Project
from keepsite.projects.services import count_anew, ensure_project
from secrets_app.choices import ContentType, SecretType
from secrets_app.limits import check_payload_size
from secrets_app.models import Payload, Secret, SecretConsumer
from secrets_app.services.access import target_of
from secrets_app.services.containers import containers_in_need_of

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a client says about its secret; stored as given, never checked against the payload."""

    name: str | None = None
    secret_type: SecretType = SecretType.OPAQUE
    algorithm: str | None = None
    mode: str | None = None
    bit_length: int | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPayload:
    """Bytes to be kept, and the media type they are to be given back in."""

    plaintext: Plaintext
    content_type: ContentType


def create_secret(
    *,
    actor: Principal,
    description: Description,
    payload: NewPayload | None = None,
    keyed: KeyedRequest | None = None,
) -> Secret:
    """Make a secret of the caller's project, with its payload if there is one yet.

    On return both are committed, and that ``keyed`` made them; on any error nothing is.

    Raises:
        NotAllowed: ``actor`` may not create secrets.
        QuotaReached: the project has as many secrets as it may.
        InvalidInput: the expiration is not in the future.
        TooLarge: the payload is longer than KEEPSITE_MAX_PAYLOAD_BYTES.
        TwinInProgress: a request with the key of ``keyed`` was first.
        Unavailable: no token, or no database, could serve.

    Source: Barbican API v1, POST /v1/secrets.
    """
    policy.require("secrets:post", actor)
    now = timezone.now()
    check_expiration(description.expires_at, now=now)
    if payload is not None:
        check_payload_size(len(payload.plaintext))
    pkek = None if payload is None else keyring.sealing_key(actor.project_id)
    project = ensure_project(actor.project_id) if pkek is None else pkek.project
    existing = Secret.objects.live(now).filter(project=project).count
    quotas.refuse_if_full(project, "secrets", existing)
    secret = new_secret(description, project=project, creator_id=actor.user_id)
    sealed = None if payload is None or pkek is None else seal_for(secret, payload, pkek=pkek)

    def insert() -> None:
        if keyed is not None:
            keyed.remember(secret.id)
        quotas.claim(project, "secrets", existing)
        insert_secrets([(secret, sealed)])

    writes.commit(insert, committed=Secret.objects.filter(id=secret.id).exists)
    audit.record("secret.created", actor=actor, subject=secret)
    return secret


def delete_secret(secret: Secret, *, actor: Principal, spare_consumed: bool = False) -> None:
    """Take ``secret`` away from everybody; its row and payload stay for the recovery window.

    A container never keeps it from that, as clients expect: the log names those left without
    what their type needs.

    Raises:
        NotAllowed: ``actor`` may not delete it.
        InvalidInput: it has consumers and ``spare_consumed`` asks not to take it from them.
        NotFound: somebody else deleted it first.

    Source: Barbican API v1, DELETE /v1/secrets/{secret_id}.
    """
    policy.require("secret:delete", actor, target_of(secret))
    _mark_deleted(secret, spare_consumed=spare_consumed)
    audit.record("secret.deleted", actor=actor, subject=secret)


def withdraw_secret(secret_id: str, *, actor: audit.Actor, reason: str) -> Secret:
    """Delete a secret of whatever project, as an operator: for every client at once, consumers or not.

    Its row, payload and consumers stay for the recovery window.

    Raises:
        NotAllowed: ``actor`` is no operator.
        NotFound: there is no such secret, or it is deleted already.
    """
    audit.require_operator(actor)
    secret: Secret | None = (
        Secret.objects.filter(id=secret_id, deleted_at=None).select_related("project").first()
    )
    if secret is None:
        raise NotFound(f"There is no secret {secret_id}, or it is deleted already.")
    deleted_at = _mark_deleted(secret, spare_consumed=False)
    audit.record(
        "secret.deleted",
        actor=actor,
        subject=secret,
        reason=reason,
        change=audit.Change(before={"deleted_at": None}, after={"deleted_at": deleted_at}),
    )
    return secret


def expire_secret(secret_id: str, *, actor: audit.Actor, reason: str, now: datetime | None = None) -> Secret:
    """Have a secret of whatever project expire now, as an operator: it vanishes for every client at once.

    Whatever expiration its client gave it, or none, gives way to ``now``.  Its row and
    payload stay, but no verb of Keepsite gives an expired secret a later moment.

    Raises:
        NotAllowed: ``actor`` is no operator.
        NotFound: there is no such secret, or it is deleted.
        Conflict: it has expired already; that moment stays as it is.
    """
    audit.require_operator(actor)
    now = now or timezone.now()
    secret: Secret | None = (
        Secret.objects.filter(id=secret_id, deleted_at=None).select_related("project").first()
    )
    if secret is None:
        raise NotFound(f"There is no secret {secret_id}, or it is deleted.")
    before = secret.expires_at
    rows = Secret.objects.filter(id=secret.id, deleted_at=None)

    def expire() -> None:
        # as it was read, so that the record of what it was before is right
        if not rows.live(now).filter(expires_at=before).update(expires_at=now, updated_at=now):
            raise Conflict("The secret has expired already, or somebody else has just changed it.")
        count_anew({secret.project_id})

    writes.commit(expire, committed=rows.filter(expires_at=now).exists)
    audit.record(
        "secret.expired",
        actor=actor,
        subject=secret,
        reason=reason,
        change=audit.Change(before={"expires_at": before}, after={"expires_at": now}),
    )
    secret.refresh_from_db()
    return secret


def check_expiration(expires_at: datetime | None, *, now: datetime) -> None:
    """Refuse an expiration that has passed.

    Raises:
        InvalidInput: it is not later than ``now``.
    """
    if expires_at is not None and expires_at <= now:
        raise InvalidInput("expiration must be a time in the future.")


def _mark_deleted(secret: Secret, *, spare_consumed: bool) -> datetime:
    deleted_at = timezone.now()
    incomplete = containers_in_need_of(secret)
    consumers = SecretConsumer.objects.filter(secret=secret, deleted_at=None)

    def mark() -> None:
        if spare_consumed and secret.had_consumers and consumers.exists():
            raise InvalidInput(
                "Secret cannot be deleted as it has consumers. Remove them, or delete with force=1."
            )
        if not Secret.objects.filter(id=secret.id, deleted_at=None).update(deleted_at=deleted_at):
            raise NotFound("Secret not found.")
        if secret.had_consumers:
            consumers.update(deleted_at=deleted_at)

    writes.commit(mark, committed=Secret.objects.filter(id=secret.id, deleted_at=deleted_at).exists)
    if incomplete:
        log.info("container.left_incomplete", container_ids=incomplete, secret_id=secret.id)
    return deleted_at


def new_secret(description: Description, *, project: Project, creator_id: str | None) -> Secret:
    """A secret with its id chosen, not saved yet."""
    now = timezone.now()
    return Secret(
        id=new_id(),
        project=project,
        creator_id=creator_id,
        created_at=now,
        updated_at=now,
        name=description.name,
        secret_type=description.secret_type,
        algorithm=description.algorithm,
        mode=description.mode,
        bit_length=description.bit_length,
        expires_at=description.expires_at,
    )


def seal_for(secret: Secret, payload: NewPayload, *, pkek: ProjectKEK) -> Sealed:
    """Seal ``payload`` for ``secret``, a row of the pKEK's project, and note its content type."""
    sealed = keyring.seal(payload.plaintext, pkek=pkek, context=secret.seal_context())
    secret.content_type = payload.content_type
    return sealed


def insert_secrets(made: Sequence[tuple[Secret, Sealed | None]]) -> None:
    """Insert the rows of secrets and of their payloads, inside the caller's transaction."""
    Secret.objects.bulk_create([secret for secret, _ in made])
    payloads = [Payload.holding(sealed, secret=secret) for secret, sealed in made if sealed is not None]
    if payloads:
        Payload.objects.bulk_create(payloads)
