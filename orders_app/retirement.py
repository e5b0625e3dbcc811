"""Projects that the identity service has deleted: all they had goes, and can be brought back for a while."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from keepsite import audit, writes
from keepsite.errors import Conflict, NotAllowed, NotFound
from keepsite.keyring import retirement as keys
from keepsite.projects.models import Project
from keepsite.projects.services import count_anew
from orders_app.models import Order, OrderPassphrase
from secrets_app.services import rows_of_project

log = structlog.get_logger(__name__)

BATCH_ROWS = 1_000  # of one transaction
MAY_RETIRE = frozenset({"command", "console", "keystone-listener"})


def retire_project(external_id: str, *, actor: audit.Actor, reason: str) -> Project | None:
    """Delete all that a project has, at one moment, so that ``restore_project`` can take it back.

    Secrets, containers, consumers and orders are deleted as by their clients; the project's
    key only opens from now on, and nothing new is taken.  ``purge_deleted`` destroys them
    after KEEPSITE_RECOVERY_DAYS.  On return all is committed; interrupted, it goes on where
    it was when called again, and a project retired already stays as it is.  None is
    returned for a project that was never here.

    Raises:
        NotAllowed: ``actor`` is neither an operator nor the Keystone listener.
        Unavailable: the database did not take all of it; call again.
    """
    if actor.method not in MAY_RETIRE:
        raise NotAllowed("Only operators and the Keystone listener may retire a project.")
    project = Project.objects.filter(external_id=external_id).first()
    if project is None:
        return None
    moment = timezone.now()
    rows = Project.objects.filter(id=project.id)

    def close() -> None:
        rows.filter(retired_at=None).update(retired_at=moment)
        keys.stop_sealing(project)

    writes.commit(close, committed=rows.filter(retired_at=moment).exists)
    project.refresh_from_db()
    is_first = project.retired_at == moment
    if is_first:
        change = audit.Change(before={"retired_at": None}, after={"retired_at": moment})
        audit.record("project.retired", actor=actor, subject=project, reason=reason, change=change)
    _forget_passphrases(project)
    for kind in _rows_of(project):
        _in_batches(kind.filter(deleted_at=None), deleted_at=project.retired_at)
    if is_first:
        log.warning("project.retired", project_id=external_id)
    return project


def restore_project(external_id: str, *, actor: audit.Actor, reason: str) -> Project:
    """Bring back what a retirement deleted; what was deleted before it stays so.

    Orders that waited then stay deleted: their clients gave up, and their pass phrases are gone.

    Raises:
        NotAllowed: ``actor`` is no operator.
        NotFound: there is no such project.
        Conflict: it is not retired, or was longer ago than KEEPSITE_RECOVERY_DAYS.
        Unavailable: the database did not take all of it; call again.
    """
    if actor.method not in MAY_RETIRE - {"keystone-listener"}:
        raise NotAllowed("Only operators may do this, by command or in the console.")
    project = Project.objects.filter(external_id=external_id).first()
    if project is None:
        raise NotFound(f"There is no project {external_id}.")
    if project.retired_at is None:
        raise Conflict("The project is not retired.")
    if project.retired_at < timezone.now() - timedelta(days=settings.RECOVERY_DAYS):
        raise Conflict(
            f"The project was retired at {project.retired_at:%Y-%m-%dT%H:%M:%SZ}, longer ago than the"
            f" recovery window of {settings.RECOVERY_DAYS} days (KEEPSITE_RECOVERY_DAYS)."
        )
    for kind in _rows_of(project):
        _in_batches(_worth_restoring(kind).filter(deleted_at=project.retired_at), deleted_at=None)
    rows = Project.objects.filter(id=project.id)

    def reopen() -> None:
        rows.update(retired_at=None)
        count_anew({project.id})
        keys.seal_again(project)

    writes.commit(reopen, committed=rows.filter(retired_at=None).exists)
    change = audit.Change(before={"retired_at": project.retired_at}, after={"retired_at": None})
    audit.record("project.restored", actor=actor, subject=project, reason=reason, change=change)
    project.refresh_from_db()
    return project


def retired_since(moment: datetime) -> int:
    """How many projects were retired after ``moment`` and are so still."""
    return Project.objects.filter(retired_at__gt=moment).count()


def _rows_of(project: Project) -> Iterator[QuerySet[Any]]:  # Any: rows of five kinds
    yield Order.objects.filter(project=project)
    yield from rows_of_project(project)


def _worth_restoring(rows: QuerySet[Any]) -> QuerySet[Any]:  # Any: rows of five kinds
    return rows.exclude(status=Order.Status.PENDING) if rows.model is Order else rows


def _forget_passphrases(project: Project) -> None:
    waiting = OrderPassphrase.objects.filter(order__project=project)
    writes.commit(waiting.delete, committed=lambda: not waiting.exists())


def _in_batches(rows: QuerySet[Any], **columns: datetime | None) -> None:  # Any: rows of five kinds
    """Update all of ``rows``, a bounded number in each transaction; they fall out of ``rows`` by it."""
    while page := list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH_ROWS]):
        batch = rows.filter(pk__in=page)
        writes.commit(
            lambda batch=batch: batch.update(**columns),  # type: ignore[misc]  # a lambda with a default
            committed=lambda batch=batch: not batch.exists(),  # type: ignore[misc]
        )
