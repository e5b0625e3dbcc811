"""Projects whose callers are refused, until an operator lets them go on.

A caller with an API key is judged by the project's row, which authentication reads in
any case: a suspension holds from the next request on, on every node.  Other callers
are judged by what this process last read of all suspended projects, at most
REFRESH_S ago.
"""

import threading
import time

from django.utils import timezone

from keepsite import audit, writes
from keepsite.errors import Conflict, InvalidInput, NotAllowed, NotFound
from keepsite.projects.models import Project

REFRESH_S = 5.0  # after so long, every process of every node knows
REASON_MAX_CHARS = 255


class ProjectSuspended(NotAllowed):
    """An operator has suspended the caller's project; nothing is lost, and only they can resume it."""

    public = (
        "This project is suspended by the operators of the service: no request of it is served. What it"
        " stored is kept. Ask them to resume it."
    )


def suspend_project(external_id: str, *, actor: audit.Actor, reason: str) -> Project:
    """Refuse every API request of a project from now on; on return it is durable.

    What the project stored stays, orders it placed are fulfilled, and readers of other
    projects whom its ACLs name still read.

    Raises:
        NotAllowed: ``actor`` is no operator.
        InvalidInput: no reason, or one longer than REASON_MAX_CHARS.
        NotFound: the project has never been heard of.
        Conflict: it is suspended already.
    """
    audit.require_operator(actor)
    if not 1 <= len(reason) <= REASON_MAX_CHARS:
        raise InvalidInput(f"Give a reason of 1 to {REASON_MAX_CHARS} characters.")
    project = find(external_id)
    now = timezone.now()
    rows = Project.objects.filter(id=project.id)

    def suspend() -> None:
        if not rows.filter(suspended_at=None).update(suspended_at=now, suspension_reason=reason):
            raise _not_possible(external_id, suspend=True)

    writes.commit(suspend, committed=rows.filter(suspended_at=now).exists)
    audit.record(
        "project.suspended",
        actor=actor,
        subject=project,
        reason=reason,
        change=audit.Change(before={"suspended_at": None}, after={"suspended_at": now}),
    )
    _Known.forget()
    project.suspended_at, project.suspension_reason = now, reason
    return project


def resume_project(external_id: str, *, actor: audit.Actor, reason: str = "") -> Project:
    """Serve a suspended project again.

    Raises:
        NotAllowed: ``actor`` is no operator.
        NotFound: the project has never been heard of.
        Conflict: it is not suspended.
    """
    audit.require_operator(actor)
    project = find(external_id)
    rows = Project.objects.filter(id=project.id)

    def resume() -> None:
        suspended = rows.filter(suspended_at__isnull=False)
        if not suspended.update(suspended_at=None, suspension_reason=""):
            raise _not_possible(external_id, suspend=False)

    writes.commit(resume, committed=rows.filter(suspended_at=None).exists)
    audit.record(
        "project.resumed",
        actor=actor,
        subject=project,
        reason=reason,
        change=audit.Change(before={"suspended_at": project.suspended_at}, after={"suspended_at": None}),
    )
    _Known.forget()
    project.suspended_at, project.suspension_reason = None, ""
    return project


def require_possible(external_id: str, *, suspend: bool) -> None:
    """Return if the project may be suspended, or resumed, now.

    Raises:
        NotFound: the project has never been heard of.
        Conflict: it is so already.
    """
    if (find(external_id).suspended_at is None) != suspend:
        raise _not_possible(external_id, suspend=suspend)


def is_suspended(external_id: str) -> bool:
    """Whether the project was suspended at most REFRESH_S ago; no SQL statement in between."""
    return external_id in _Known.projects()


class _Known:
    """The suspended projects as this process last read them."""

    _lock = threading.Lock()
    _read_at = -REFRESH_S
    _projects: frozenset[str] = frozenset()

    @classmethod
    def projects(cls) -> frozenset[str]:
        if time.monotonic() - cls._read_at >= REFRESH_S:
            with cls._lock:
                if time.monotonic() - cls._read_at >= REFRESH_S:
                    suspended = Project.objects.filter(suspended_at__isnull=False)
                    cls._projects = frozenset(suspended.values_list("external_id", flat=True))
                    cls._read_at = time.monotonic()
        return cls._projects

    @classmethod
    def forget(cls) -> None:
        cls._read_at = -REFRESH_S


def find(external_id: str) -> Project:
    """The project of that id.

    Raises:
        NotFound: it has never been heard of.
    """
    project = Project.objects.filter(external_id=external_id).first()
    if project is None:
        raise NotFound(f"There is no project {external_id}: it has never stored or ordered anything here.")
    return project


def _not_possible(external_id: str, *, suspend: bool) -> Conflict:
    state = "is suspended already" if suspend else "is not suspended"
    return Conflict(f"The project {external_id} {state}.")
