"""API keys of ``local`` mode: made, checked, revoked."""

import hashlib
import hmac
import re
import secrets
import uuid
from collections.abc import Iterable
from datetime import datetime

from django.db import IntegrityError
from django.utils import timezone

from keepsite import audit, writes
from keepsite.errors import Conflict, InvalidInput, NotAuthenticated
from keepsite.identity import last_use
from keepsite.identity.models import APIKey
from keepsite.identity.principal import PROJECT_ID_MAX_CHARS, Principal
from keepsite.ids import new_id
from keepsite.prepared import Prepared
from keepsite.projects.services import ensure_project

SECRET_BYTES = 32
_FORM = re.compile(r"ks_([0-9a-f]{32})_([A-Za-z0-9_-]{43})")  # prefix, row id, secret in base64url


def create_api_key(  # noqa: PLR0913  # what a key is, who makes it and why, all by name
    *,
    project_id: str,
    user_id: str,
    roles: Iterable[str],
    name: str,
    actor: audit.Actor,
    expires_at: datetime | None = None,
    reason: str = "",
    key_id: str | None = None,
) -> tuple[APIKey, str]:
    """Make a key and return its row and the key itself, which is never to be had again.

    ``key_id``, a UUID chosen by the caller, makes it safe to ask twice: the second time is refused.

    Raises:
        InvalidInput: an empty or overlong name, user or project, no role, or an expiry in the past.
        Conflict: there is a key with this id already.
    """
    for field, value in (("project", project_id), ("user", user_id), ("name", name)):
        if not 1 <= len(value) <= PROJECT_ID_MAX_CHARS:
            raise InvalidInput(f"{field} must be 1 to {PROJECT_ID_MAX_CHARS} characters long.")
    wanted = sorted({role.strip().lower() for role in roles} - {""})
    if not wanted:
        raise InvalidInput("Name at least one role, such as member or reader.")
    if expires_at is not None and expires_at <= timezone.now():
        raise InvalidInput("The expiry must lie in the future.")
    project = ensure_project(project_id)
    secret = secrets.token_urlsafe(SECRET_BYTES)
    row = APIKey(
        id=key_id or new_id(),
        name=name,
        project=project,
        user_id=user_id,
        roles=wanted,
        sha256=_digest(secret),
        expires_at=expires_at,
    )
    made = APIKey.objects.filter(id=row.id, sha256=row.sha256)
    try:
        writes.commit(lambda: row.save(force_insert=True), committed=made.exists)
    except IntegrityError as error:
        raise Conflict("This API key has been made already.") from error
    audit.record(
        "api_key.created",
        actor=actor,
        subject=row,
        reason=reason,
        change=audit.Change(after={"project": project_id, **_shown(row)}),
    )
    return row, f"ks_{uuid.UUID(row.id).hex}_{secret}"


def revoke_api_key(key: APIKey, *, actor: audit.Actor, reason: str = "") -> None:
    """End ``key``; on return no process accepts it any more.

    Raises:
        Conflict: it was revoked before.
    """
    now = timezone.now()

    def end() -> None:
        if not APIKey.objects.filter(id=key.id, revoked_at=None).update(revoked_at=now):
            raise Conflict("This API key has been revoked already.")

    writes.commit(end, committed=APIKey.objects.filter(id=key.id, revoked_at=now).exists)
    audit.record(
        "api_key.revoked",
        actor=actor,
        subject=key,
        reason=reason,
        change=audit.Change(before={**_shown(key), "revoked_at": None}, after={"revoked_at": now}),
    )
    key.revoked_at = now


def principal_of(auth_token: str) -> Principal:
    """The caller that shows ``auth_token``; one SQL statement, so a revocation holds at once.

    That it was used is written down once the request is answered, at most once a minute.

    Raises:
        NotAuthenticated: malformed, unknown, revoked or expired; which of them is not said.
    """
    match = _FORM.fullmatch(auth_token)
    if match is None:
        raise NotAuthenticated
    row = _BY_ID.first(id=str(uuid.UUID(match[1])))
    now = timezone.now()
    if row is None or not hmac.compare_digest(row.sha256, _digest(match[2])) or not row.is_valid(now):
        raise NotAuthenticated
    last_use.note(row, now=now)
    return row.principal


_BY_ID = Prepared(
    lambda id: APIKey.objects.select_related("project").filter(id=id),  # noqa: A006  # the column's name
    texts=("id",),
)


def _shown(key: APIKey) -> dict[str, object]:
    """What the audit trail says of a key."""
    return {"name": key.name, "user": key.user_id, "roles": key.roles, "expires_at": key.expires_at}


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("ascii")).hexdigest()
