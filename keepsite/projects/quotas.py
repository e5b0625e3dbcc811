"""How much a project may have, and whether there is room for one more.

Source: Barbican API v1, quotas: negative is unlimited, zero forbids.
"""

from collections.abc import Callable, Mapping

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from django.db.models import F
from django.utils import timezone

from keepsite import audit, writes
from keepsite.errors import NotFound, QuotaReached
from keepsite.projects.models import Project, ProjectQuota
from keepsite.projects.services import ensure_project

NEAR_PERCENT = 80  # of a limit: soon nothing more can be made
RESOURCES = ("secrets", "orders", "containers", "consumers", "cas")


def effective_limits(project: Project) -> dict[str, int]:
    """The limit of each resource: the project's own, else the deployment's."""
    own = _own(project)
    return {
        resource: default if own is None or (limit := getattr(own, resource)) is None else limit
        for resource, default in settings.QUOTAS.items()
    }


def is_near(used: int, limit: int) -> bool:
    """Whether little room is left; negative is unlimited, and of what is forbidden nothing is used."""
    return limit > 0 and 100 * used >= NEAR_PERCENT * limit


def is_limited(project: Project, resource: str) -> bool:
    """Whether ``claim`` has anything to do."""
    return effective_limits(project)[resource] >= 0


def refuse_if_full(project: Project, resource: str, count: Callable[[], int]) -> None:
    """Refuse before any work is done; ``claim`` decides.

    Raises:
        QuotaReached: the project has as many as it may.
    """
    limit = effective_limits(project)[resource]
    if limit >= 0 and count() >= limit:
        raise QuotaReached(resource=resource, limit=limit)


def claim(project: Project, resource: str, count: Callable[[], int]) -> None:
    """Make sure, inside the caller's transaction, that one more stays within the limit.

    Costs nothing where there is no limit.  Where there is one, creations of the
    project come one after the other, through a row that all of them write: a lock
    would hold on one database node only.

    Raises:
        QuotaReached: the project has as many as it may.
    """
    limit = effective_limits(project)[resource]
    if limit < 0:
        return
    Project.objects.filter(id=project.id).update(quota_claims=F("quota_claims") + 1)
    if count() >= limit:
        raise QuotaReached(resource=resource, limit=limit)


def set_quota(
    external_id: str, limits: Mapping[str, int | None], *, actor: audit.Actor, reason: str = ""
) -> None:
    """Give a project limits of its own; what ``limits`` does not name stays, None is the deployment's."""
    project = ensure_project(external_id)
    now = timezone.now()
    rows = ProjectQuota.objects.filter(project=project)
    own = _own(project)
    before = {resource: None if own is None else getattr(own, resource) for resource in limits}

    def store() -> None:
        if not rows.update(updated_at=now, **limits):
            ProjectQuota(project=project, created_at=now, updated_at=now, **limits).save(force_insert=True)

    writes.commit(store, committed=rows.filter(updated_at=now).exists)
    audit.record(
        "project_quota.set",
        actor=actor,
        subject=project,
        reason=reason,
        change=audit.Change(before=before, after=limits),
    )


def delete_quota(external_id: str, *, actor: audit.Actor) -> None:
    """Take a project's own limits away: the deployment's hold again.

    Raises:
        NotFound: it has none.
    """
    rows = ProjectQuota.objects.filter(project__external_id=external_id)
    before = rows.values(*RESOURCES).first() or {}

    def delete() -> None:
        if not rows.exists():
            raise NotFound("This project has no quota of its own.")
        ProjectQuota.objects.filter(pk__in=list(rows.values_list("pk", flat=True))).delete()

    writes.commit(delete, committed=lambda: not rows.exists())
    audit.record(
        "project_quota.deleted",
        actor=actor,
        subject=f"project:{external_id}",
        change=audit.Change(before=before, after=dict.fromkeys(before)),
    )


def _own(project: Project) -> ProjectQuota | None:
    try:
        return project.quota
    except ObjectDoesNotExist:
        return None
