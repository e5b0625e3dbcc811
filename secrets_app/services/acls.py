from collections.abc import Iterable
from dataclasses import dataclass

from django.db import IntegrityError
from django.utils import timezone

from keepsite import audit, writes
from keepsite.identity import policy
from keepsite.identity.principal import Principal
from keepsite.ids import new_id
from secrets_app.models import ACL, ACLUser, Container, Secret
from secrets_app.services.access import acl_of, kind_of, target_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAccess:
    """What a client wants the ACL to say; None leaves it as it is."""

    project_access: bool | None = None
    users: frozenset[str] | None = None


def read_acl(subject: Secret | Container, *, actor: Principal) -> ACL | None:
    """The ACL of ``subject``, or None where its project's roles decide alone.

    Raises:
        NotAllowed: ``actor`` may not see it.
    """
    policy.require(f"{kind_of(subject)}_acls:get", actor, target_of(subject))
    return acl_of(subject)


def replace_acl(subject: Secret | Container, wanted: ReadAccess | None, *, actor: Principal) -> None:
    """Make the ACL say exactly this, what is left open by its default; None takes it away.

    Raises:
        NotAllowed: ``actor`` may not write it.

    Source: Barbican API v1, PUT /v1/secrets/{secret_id}/acl.
    """
    policy.require(f"{kind_of(subject)}_acls:put_patch", actor, target_of(subject))
    if wanted is None:
        _remove(subject)
    else:
        _store(
            subject,
            project_access=wanted.project_access is not False,
            users=wanted.users or frozenset(),
        )
    audit.record(f"{kind_of(subject)}_acl.replaced", actor=actor, subject=subject)


def merge_acl(subject: Secret | Container, wanted: ReadAccess | None, *, actor: Principal) -> None:
    """Change what is named and leave the rest; None changes nothing.

    Raises:
        NotAllowed: ``actor`` may not write it.

    Source: Barbican API v1, PATCH /v1/secrets/{secret_id}/acl.
    """
    policy.require(f"{kind_of(subject)}_acls:put_patch", actor, target_of(subject))
    if wanted is None:
        return
    known = acl_of(subject)
    project_access = wanted.project_access
    if project_access is None:
        project_access = known is None or known.project_access
    _store(subject, project_access=project_access, users=wanted.users)
    audit.record(f"{kind_of(subject)}_acl.changed", actor=actor, subject=subject)


def delete_acl(subject: Secret | Container, *, actor: Principal) -> None:
    """Take the ACL away, if there is one: roles decide alone again.

    Raises:
        NotAllowed: ``actor`` may not.
    """
    policy.require(f"{kind_of(subject)}_acls:delete", actor, target_of(subject))
    _remove(subject)
    audit.record(f"{kind_of(subject)}_acl.deleted", actor=actor, subject=subject)


def _remove(subject: Secret | Container) -> None:
    acls = ACL.objects.filter(**{kind_of(subject): subject})
    writes.commit(acls.delete, committed=lambda: not acls.exists())


def _store(subject: Secret | Container, *, project_access: bool, users: Iterable[str] | None) -> None:
    now = timezone.now()
    fresh = ACL(
        id=new_id(),
        project_access=project_access,
        created_at=now,
        updated_at=now,
        **{kind_of(subject): subject},
    )
    acls = ACL.objects.filter(**{kind_of(subject): subject})

    def store() -> None:
        if not acls.update(project_access=project_access, updated_at=now):
            fresh.save(force_insert=True)
        if users is not None:
            acl = acls.get()
            ACLUser.objects.filter(acl=acl).exclude(user_id__in=users).delete()
            known = set(ACLUser.objects.filter(acl=acl).values_list("user_id", flat=True))
            ACLUser.objects.bulk_create(ACLUser(acl=acl, user_id=user) for user in sorted({*users} - known))
        type(subject).objects.filter(id=subject.id).update(updated_at=now)

    try:
        writes.commit(store, committed=acls.filter(updated_at=now).exists)
    except IntegrityError:  # two callers made the first ACL, or named the same user, at the same moment
        writes.commit(store, committed=acls.filter(updated_at=now).exists)
