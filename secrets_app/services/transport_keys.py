from django.utils import timezone

from keepsite import audit, writes
from keepsite.errors import NotFound
from keepsite.identity import policy
from keepsite.identity.principal import Principal
from keepsite.ids import is_id, new_id
from secrets_app.models import TransportKey


def register_transport_key(*, plugin_name: str, transport_key: str, actor: Principal) -> TransportKey:
    """Keep a transport key for clients to find.

    Raises:
        NotAllowed: ``actor`` may not.
    """
    policy.require("transport_keys:post", actor)
    row = TransportKey(id=new_id(), plugin_name=plugin_name, transport_key=transport_key)
    writes.commit(
        lambda: row.save(force_insert=True), committed=TransportKey.objects.filter(id=row.id).exists
    )
    audit.record("transport_key.registered", actor=actor, subject=row)
    return row


def find_transport_key(key_id: str) -> TransportKey:
    """The transport key with this id.

    Raises:
        NotFound: malformed, unknown or deleted.
    """
    row = TransportKey.objects.filter(id=key_id, deleted_at=None).first() if is_id(key_id) else None
    if row is None:
        raise NotFound("Transport key not found.")
    return row


def delete_transport_key(row: TransportKey, *, actor: Principal) -> None:
    """Take a transport key away.

    Raises:
        NotAllowed: ``actor`` may not.
        NotFound: somebody else did first.
    """
    policy.require("transport_key:delete", actor)
    now = timezone.now()

    def mark() -> None:
        if not TransportKey.objects.filter(id=row.id, deleted_at=None).update(deleted_at=now):
            raise NotFound("Transport key not found.")

    writes.commit(mark, committed=TransportKey.objects.filter(id=row.id, deleted_at=now).exists)
    audit.record("transport_key.deleted", actor=actor, subject=row)
