from django.apps import apps
from django.db.models import Exists, OuterRef, Q, QuerySet

from hsm.keys import WrappedKey
from keepsite.keyring.columns import SealedRow
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


def canaries_in_service() -> dict[str, WrappedKey]:
    """The canary of every MKEK that is not retired, by label: pending ones must be on the tokens too."""
    return {mkek.label: mkek.canary for mkek in MKEK.objects.exclude(state=MKEK.State.RETIRED)}


def sealed_row_models() -> tuple[type[SealedRow], ...]:
    """Every kind of row that keeps something sealed under a pKEK, of whatever app."""
    return tuple(model for model in apps.get_models() if issubclass(model, SealedRow))


def needed_pkeks() -> QuerySet[ProjectKEK]:
    """Generations that something may still have to be opened with, be it of a deleted secret."""
    in_use = ~Q(state=ProjectKEK.State.RETIRED)
    for model in sealed_row_models():
        in_use |= Q(Exists(model._default_manager.filter(pkek=OuterRef("pk"))))  # noqa: SLF001  # Django's API
    return ProjectKEK.objects.filter(in_use)
