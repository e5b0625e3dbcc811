from collections.abc import Mapping

from django.db import IntegrityError

from keepsite import audit, writes
from keepsite.errors import Conflict, NotFound
from keepsite.identity import policy
from keepsite.identity.principal import Principal
from secrets_app.models import Secret, SecretMetadatum
from secrets_app.services.access import target_of


def read_metadata(secret: Secret, *, actor: Principal) -> dict[str, str]:
    """All notes on ``secret`` by name.

    Raises:
        NotAllowed: ``actor`` may not read them.
    """
    policy.require("secret_meta:get", actor, target_of(secret))
    return dict(SecretMetadatum.objects.filter(secret=secret).order_by("name").values_list("name", "value"))


def read_metadatum(secret: Secret, name: str, *, actor: Principal) -> str:
    """One note.

    Raises:
        NotAllowed: ``actor`` may not read it.
        NotFound: there is none of that name.
    """
    try:
        return read_metadata(secret, actor=actor)[name.lower()]
    except KeyError:
        raise _no_such_note() from None


def replace_metadata(secret: Secret, notes: Mapping[str, str], *, actor: Principal) -> None:
    """Make ``notes``, whose names are in lower case, all there is.

    Raises:
        NotAllowed: ``actor`` may not write them.
    """
    policy.require("secret_meta:put", actor, target_of(secret))
    known = SecretMetadatum.objects.filter(secret=secret)

    def store() -> None:
        known.delete()
        SecretMetadatum.objects.bulk_create(
            SecretMetadatum(secret=secret, name=name, value=value) for name, value in sorted(notes.items())
        )

    writes.commit(store, committed=lambda: dict(known.values_list("name", "value")) == dict(notes))
    audit.record("secret_meta.replaced", actor=actor, subject=secret)


def add_metadatum(secret: Secret, name: str, value: str, *, actor: Principal) -> None:
    """Add one note; ``name`` is in lower case.

    Raises:
        NotAllowed: ``actor`` may not write it.
        Conflict: there is one of that name.
    """
    policy.require("secret_meta:post", actor, target_of(secret))
    row = SecretMetadatum(secret=secret, name=name, value=value)
    try:
        writes.commit(
            lambda: row.save(force_insert=True),
            committed=SecretMetadatum.objects.filter(
                secret=secret, name=name, created_at=row.created_at
            ).exists,
        )
    except IntegrityError as error:
        raise Conflict(f"The secret has metadata {name!r} already; change it with PUT.") from error
    audit.record("secret_meta.added", actor=actor, subject=secret)


def change_metadatum(secret: Secret, name: str, value: str, *, actor: Principal) -> None:
    """Give an existing note another value.

    Raises:
        NotAllowed: ``actor`` may not write it.
        NotFound: there is none of that name.
    """
    policy.require("secret_meta:put", actor, target_of(secret))
    notes = SecretMetadatum.objects.filter(secret=secret, name=name)

    def change() -> None:
        if not notes.exists():
            raise _no_such_note()
        notes.update(value=value)

    writes.commit(change, committed=notes.filter(value=value).exists)
    audit.record("secret_meta.changed", actor=actor, subject=secret)


def delete_metadatum(secret: Secret, name: str, *, actor: Principal) -> None:
    """Remove a note, if there is one.

    Raises:
        NotAllowed: ``actor`` may not.
    """
    policy.require("secret_meta:delete", actor, target_of(secret))
    notes = SecretMetadatum.objects.filter(secret=secret, name=name.lower())
    writes.commit(notes.delete, committed=lambda: not notes.exists())
    audit.record("secret_meta.deleted", actor=actor, subject=secret)


def _no_such_note() -> NotFound:
    return NotFound("Secret metadata not found.")
