import structlog
from django.utils import timezone

from keepsite import audit, writes
from keepsite.errors import Conflict, InvalidInput, KeyMaterialError, NotFound
from keepsite.identity import policy
from keepsite.identity.principal import Principal
from keepsite.keyring import services as keyring
from keepsite.keyring.sealed import Plaintext
from secrets_app.limits import check_payload_size
from secrets_app.models import Payload, Secret
from secrets_app.services.access import target_of
from secrets_app.services.secrets import NewPayload, seal_for

log = structlog.get_logger(__name__)


def store_payload(secret: Secret, payload: NewPayload, *, actor: Principal) -> None:
    """Seal ``payload`` under the project's pKEK and attach it to ``secret``.

    On return it is committed; on any error the secret is as it was.  Of two callers at
    once one succeeds.

    Raises:
        NotAllowed: ``actor`` may not write this secret.
        InvalidInput: the payload is empty.
        TooLarge: longer than KEEPSITE_MAX_PAYLOAD_BYTES.
        Conflict: the secret has a payload; a payload is set once.
        Unavailable: no token, or no database, could serve.

    Source: Barbican API v1, PUT /v1/secrets/{secret_id}.
    """
    policy.require("secret:put", actor, target_of(secret))
    require_payload_wanted(secret, length_bytes=len(payload.plaintext))
    row = Payload.holding(
        seal_for(secret, payload, pkek=keyring.sealing_key(secret.project.external_id)), secret=secret
    )
    now = timezone.now()

    def attach() -> None:
        free = Secret.objects.live(now).filter(id=secret.id, content_type=None)
        if not free.update(content_type=payload.content_type, updated_at=now):
            raise _already_stored()
        row.save(force_insert=True)

    writes.commit(attach, committed=Payload.objects.filter(id=row.id).exists)
    audit.record("payload.stored", actor=actor, subject=secret)


def require_payload_wanted(secret: Secret, *, length_bytes: int) -> None:
    """Refuse a payload that ``secret`` cannot take, by its length alone.

    Raises:
        InvalidInput: it is empty.
        TooLarge: longer than KEEPSITE_MAX_PAYLOAD_BYTES.
        Conflict: the secret has a payload; a payload is set once.
    """
    if not length_bytes:
        raise InvalidInput("The payload is empty: send its bytes as the request body.")
    check_payload_size(length_bytes)
    if secret.content_type is not None:
        raise _already_stored()


def read_payload(secret: Secret, *, actor: Principal) -> Plaintext:
    """The payload of ``secret``, which was loaded ``with_payload``.

    Raises:
        NotAllowed: ``actor`` may not read it.
        NotFound: it has none yet.
        KeyMaterialError: it does not open; an operator must look.
        Unavailable: no token could serve.

    Source: Barbican API v1, GET /v1/secrets/{secret_id}/payload.
    """
    policy.require("secret:decrypt", actor, target_of(secret))
    if secret.content_type is None:
        raise NotFound("Not Found. This secret has no payload yet.")
    try:
        plaintext = _opened(secret, secret.payload)
    except KeyMaterialError:
        fresh = _replaced_since(secret)
        if fresh is None:
            raise
        plaintext = _opened(secret, fresh)
    audit.record("payload.read", actor=actor, subject=secret)
    return plaintext


def _opened(secret: Secret, payload: Payload) -> Plaintext:
    if payload.pkek.project_id != secret.project_id:
        log.critical("payload.foreign_pkek", secret_id=secret.id, pkek_id=payload.pkek_id)
        raise KeyMaterialError
    payload.pkek.project = secret.project
    return keyring.open_sealed(
        payload.sealed, pkek=payload.pkek, context=secret.seal_context(payload.version)
    )


def _replaced_since(secret: Secret) -> Payload | None:
    """The payload as it is now, if a rotation has replaced it or its key since it was read."""
    read = secret.payload
    fresh = Payload.objects.select_related("pkek__mkek").filter(secret=secret).first()
    if fresh is None or _keys_of(fresh) == _keys_of(read):
        return None
    return fresh


def _keys_of(payload: Payload) -> tuple[str, str, bytes, str]:
    return payload.pkek_id, payload.pkek.mkek_id, bytes(payload.iv), payload.pkek.state


def _already_stored() -> Conflict:
    return Conflict("The secret already has a payload, which cannot be changed; make a new secret instead.")
