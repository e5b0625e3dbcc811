from django.db.models import QuerySet

from keepsite.keyring.models import MKEK, ProjectKEK
from keepsite.prepared import Prepared


def active_pkek(external_project_id: str) -> ProjectKEK | None:
    """The generation that seals for this project, with its project and MKEK; one statement."""
    return _ACTIVE_PKEK.first(external_project_id=external_project_id)


_ACTIVE_PKEK = Prepared(
    lambda external_project_id: ProjectKEK.objects.select_related("project__quota", "mkek").filter(
        project__external_id=external_project_id, active_marker=True
    ),
    texts=("external_project_id",),
)


def current_mkek() -> MKEK | None:
    """The MKEK that wraps new pKEKs; None before the first is activated."""
    return MKEK.objects.filter(current_marker=True).first()


def serving_mkeks() -> QuerySet[MKEK]:
    """MKEKs that some stored pKEK may still need: every token must hold them."""
    return MKEK.objects.filter(state__in=[MKEK.State.CURRENT, MKEK.State.PREVIOUS])
