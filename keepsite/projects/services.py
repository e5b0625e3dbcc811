import structlog
from django.db import IntegrityError

from keepsite import writes
from keepsite.ids import new_id
from keepsite.prepared import Prepared
from keepsite.projects.models import Project

log = structlog.get_logger(__name__)


def ensure_project(external_id: str) -> Project:
    """Return the project, made now if this is the first that is heard of it.

    Two callers at once get the same row.
    """
    known = _BY_EXTERNAL_ID.first(external_id=external_id)
    if known is not None:
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


_BY_EXTERNAL_ID = Prepared(
    lambda external_id: Project.objects.select_related("quota").filter(external_id=external_id),
    texts=("external_id",),
)
