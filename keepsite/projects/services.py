from collections.abc import Iterable

import structlog
from django.db import IntegrityError
from django.db.models import F

from keepsite import writes
from keepsite.errors import NotAllowed
from keepsite.ids import new_id
from keepsite.prepared import Prepared
from keepsite.projects.models import Project

log = structlog.get_logger(__name__)


class ProjectRetired(NotAllowed):
    """The identity service has deleted the project; a token for it may outlive it by minutes."""

    public = "This project has been deleted."


def ensure_project(external_id: str) -> Project:
    """Return the project, made now if this is the first that is heard of it.

    Two callers at once get the same row.

    Raises:
        ProjectRetired: the identity service has deleted it.
    """
    known = _BY_EXTERNAL_ID.first(external_id=external_id)
    if known is not None:
        if known.retired_at is not None:
            raise ProjectRetired
        return known
    primary_key = new_id()
    try:
        writes.commit(
            lambda: Project(id=primary_key, external_id=external_id).save(force_insert=True),
            committed=Project.objects.filter(external_id=external_id).exists,
        )
    except IntegrityError:
        log.info("project.made_by_another_caller", project_id=external_id)
    return Project.objects.select_related("quota").get(external_id=external_id)


def claim_retired(project: Project) -> bool:
    """Have a restore of ``project`` at the same time wait or conflict; False if it is not retired (any more).

    Within the caller's transaction, before it changes what a restore reads.
    """
    rows = Project.objects.filter(id=project.id).exclude(retired_at=None)
    return bool(rows.update(recounts=F("recounts") + 1))


def count_anew(project_ids: Iterable[str]) -> None:
    """Have every process count the rows of these projects anew, from the end of the caller's transaction on.

    To be called where rows come back, or go for good that a list may have counted; what
    the API itself makes and deletes is found by its time.
    """
    Project.objects.filter(id__in=[*project_ids]).update(recounts=F("recounts") + 1)


_BY_EXTERNAL_ID = Prepared(
    lambda external_id: Project.objects.select_related("quota").filter(external_id=external_id),
    texts=("external_id",),
)
