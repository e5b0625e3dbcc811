"""Bring back what was deleted, while the recovery window lasts; and what is due once it is over."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import TypeVar

from django.conf import settings
from django.db.models import Model, Q
from django.utils import timezone

from keepsite import audit, writes
from keepsite.errors import Conflict, NotFound
from keepsite.projects.services import count_anew
from secrets_app.models import (
    ACL,
    ACLUser,
    Container,
    ContainerConsumer,
    ContainerSecret,
    Payload,
    Secret,
    SecretConsumer,
    SecretMetadatum,
    TransportKey,
)
from secrets_app.services.access import kind_of
from secrets_app.services.purging import Hanging, Purgeable

Subject = TypeVar("Subject", Secret, Container)

HANGING_ON_SECRET = (
    Hanging(model=ACLUser, path="acl__secret"),
    Hanging(model=ACL, path="secret"),
    Hanging(model=Payload, path="secret"),
    Hanging(model=SecretMetadatum, path="secret"),
    Hanging(model=SecretConsumer, path="secret"),
    Hanging(model=ContainerSecret, path="secret"),
)
HANGING_ON_CONTAINER = (
    Hanging(model=ACLUser, path="acl__container"),
    Hanging(model=ACL, path="container"),
    Hanging(model=ContainerConsumer, path="container"),
    Hanging(model=ContainerSecret, path="container"),
)


def restore_secret(secret_id: str, *, actor: audit.Actor, reason: str = "") -> Secret:
    """Bring a deleted secret back, with all that its deletion took away.

    That is its payload, ACL, metadata, its places in containers that still exist, and
    the consumers that were registered when it was deleted.  Quotas do not stand in the
    way: what exists above a limit may stay.

    Raises:
        NotAllowed: ``actor`` is no operator.
        NotFound: there is no such secret, or it has been purged.
        Conflict: it is not deleted, was deleted longer ago than KEEPSITE_RECOVERY_DAYS,
            or has expired meanwhile, so that nobody could see it.
    """
    audit.require_operator(actor)
    secret = _found(Secret, secret_id)
    if secret.expires_at is not None and secret.expires_at <= timezone.now():
        raise Conflict(
            f"The secret expired at {secret.expires_at:%Y-%m-%dT%H:%M:%SZ}: it would stay invisible."
        )
    _restore(secret, SecretConsumer, actor=actor, reason=reason)
    return secret


def restore_container(container_id: str, *, actor: audit.Actor, reason: str = "") -> Container:
    """Bring a deleted container back, with its ACL and the consumers registered when it was deleted.

    It holds what it held, without secrets that are deleted or purged now; restoring such
    a secret, while that is possible, puts it back in its place.

    Raises:
        NotAllowed: ``actor`` is no operator.
        NotFound: there is no such container, or it has been purged.
        Conflict: it is not deleted, or was deleted longer ago than KEEPSITE_RECOVERY_DAYS.
    """
    audit.require_operator(actor)
    container = _found(Container, container_id)
    _restore(container, ContainerConsumer, actor=actor, reason=reason)
    return container


def deleted_rows(moment: datetime, *, with_expired: bool = False) -> tuple[Purgeable, ...]:
    """What of this app is due for who purges what was deleted before ``moment``.

    ``with_expired`` adds secrets that expired before it.  Neither orders nor containers
    keep a secret from being due: they hold its id at most.
    """
    gone = Q(deleted_at__lt=moment)
    secrets = gone | Q(deleted_at=None, expires_at__lt=moment) if with_expired else gone
    return (
        Purgeable(
            noun="containers", due=Container.objects.filter(gone), hanging=HANGING_ON_CONTAINER, listed=True
        ),
        Purgeable(noun="secrets", due=Secret.objects.filter(secrets), hanging=HANGING_ON_SECRET, listed=True),
        Purgeable(noun="secret consumers", due=SecretConsumer.objects.filter(gone)),
        Purgeable(noun="container consumers", due=ContainerConsumer.objects.filter(gone)),
        Purgeable(noun="transport keys", due=TransportKey.objects.filter(gone)),
    )


def chosen_secrets(ids: Collection[str]) -> Purgeable:
    """These secrets, as far as they are deleted, for a purge that does not wait for their window's end."""
    due = Secret.objects.filter(id__in=ids, deleted_at__isnull=False)
    return Purgeable(noun="secrets", due=due, hanging=HANGING_ON_SECRET, listed=True)


def chosen_containers(ids: Collection[str]) -> Purgeable:
    """These containers, as far as they are deleted, likewise."""
    due = Container.objects.filter(id__in=ids, deleted_at__isnull=False)
    return Purgeable(noun="containers", due=due, hanging=HANGING_ON_CONTAINER, listed=True)


def _found(model: type[Subject], subject_id: str) -> Subject:
    """The deleted row, still within the window."""
    subject: Subject | None = model.objects.select_related("project").filter(id=subject_id).first()
    if subject is None:
        raise NotFound(f"There is no {model._meta.verbose_name} {subject_id}, or it has been purged.")  # noqa: SLF001
    if subject.deleted_at is None:
        raise Conflict(f"The {kind_of(subject)} is not deleted.")
    window = timedelta(days=settings.RECOVERY_DAYS)
    if subject.deleted_at < timezone.now() - window:
        raise Conflict(
            f"The {kind_of(subject)} was deleted at {subject.deleted_at:%Y-%m-%dT%H:%M:%SZ}, longer ago than"
            f" the recovery window of {settings.RECOVERY_DAYS} days (KEEPSITE_RECOVERY_DAYS)."
        )
    return subject


def _restore(subject: Subject, consumers: type[Model], *, actor: audit.Actor, reason: str) -> None:
    now = timezone.now()
    rows = type(subject).objects.filter(id=subject.id)
    gone_with_it = consumers._default_manager.filter(  # noqa: SLF001  # Django's API
        **{kind_of(subject): subject, "deleted_at": subject.deleted_at}
    )

    def revive() -> None:
        if not rows.filter(deleted_at=subject.deleted_at).update(deleted_at=None, updated_at=now):
            raise Conflict(f"The {kind_of(subject)} has been restored or purged by somebody else.")
        if subject.had_consumers:
            gone_with_it.update(deleted_at=None)
        count_anew({subject.project_id})

    writes.commit(revive, committed=rows.filter(deleted_at=None, updated_at=now).exists)
    audit.record(
        f"{kind_of(subject)}.restored",
        actor=actor,
        subject=subject,
        reason=reason,
        change=audit.Change(before={"deleted_at": subject.deleted_at}, after={"deleted_at": None}),
    )
    subject.refresh_from_db()
