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


def sealing_pkeks() -> QuerySet[ProjectKEK]:
    """The generation of each project that its rows belong under: the active one.

    A retired project has none; what it had belongs under its newest that still opens, which becomes
    active again if the project is restored.
    """
    newer = ProjectKEK.objects.filter(project=OuterRef("project"), generation__gt=OuterRef("generation"))
    is_newest = ~Exists(newer.exclude(state=ProjectKEK.State.RETIRED))
    opens = Q(state=ProjectKEK.State.DECRYPT_ONLY, project__retired_at__isnull=False)
    return ProjectKEK.objects.filter(Q(active_marker=True) | opens & is_newest)


def former_pkeks() -> QuerySet[ProjectKEK]:
    """Generations that nothing should be sealed under any more."""
    return ProjectKEK.objects.filter(active_marker=None).exclude(
        id__in=sealing_pkeks().filter(active_marker=None).values("id")
    )


def rows_left() -> dict[type[SealedRow], QuerySet[SealedRow]]:
    """Of every kind of row, those that re-encryption has still to move."""
    return {
        model: model._default_manager.filter(pkek__in=former_pkeks())  # noqa: SLF001  # Django's API
        for model in sealed_row_models()
    }


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
