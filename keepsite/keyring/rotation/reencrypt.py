from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from keepsite import audit, writes
from keepsite.errors import KeyMaterialError, Unavailable
from keepsite.keyring import services
from keepsite.keyring.columns import SealedRow
from keepsite.keyring.models import ProjectKEK
from keepsite.keyring.querysets import (
    active_pkek,
    former_pkeks,
    needed_pkeks,
    rows_left,
    sealed_row_models,
    sealing_pkeks,
)
from keepsite.keyring.rotation.scope import Scope
from keepsite.keyring.rotation.work import Outcome, Work, paged, round_trip
from keepsite.keyring.sealed import Sealed
from keepsite.projects.models import Project

log = structlog.get_logger(__name__)


class Reencrypt(Work):
    """Rows sealed under a former generation: opened and sealed anew under the one they belong under.

    Four PKCS#11 calls each, a fresh IV, AAD with the new pKEK.  Rows of every kind, of
    deleted secrets and of retired projects too.
    """

    noun = "sealed rows"

    def __init__(self, scope: Scope, *, actor: audit.Actor) -> None:
        self._scope = scope
        self._actor = actor

    def left(self) -> int:
        """How many rows are sealed under a former generation."""
        narrowed = {f"pkek__{name}": value for name, value in self._narrowed().items()}
        return sum(rows.filter(**narrowed).count() for rows in rows_left().values())

    def pages(self, size: int) -> Iterator[list[SealedRow]]:
        """Those rows, one generation and kind after the other, with what their contexts need."""
        revive_needed(self._old_pkeks())
        for pkeks in round_trip(self._old_pkeks(), size):
            for pkek in pkeks:
                for model in sealed_row_models():
                    rows = model._default_manager.filter(pkek=pkek)  # noqa: SLF001  # Django's API
                    related = ("pkek__mkek", "pkek__project", *model.context_rows)
                    yield from paged(rows.select_related(*related), size)

    def move(self, page: Sequence[SealedRow]) -> Outcome:
        """Seal a page anew; all its rows are of one project and kind."""
        outcome = Outcome()
        fresh: dict[str, Sealed] = {}
        target: ProjectKEK | None = None
        try:
            for row in page:
                with outcome.noting(type(row).__name__.lower(), row.id):
                    target = target or _sealing_key(row.pkek.project)
                    fresh[row.id] = _sealed_anew(row, target)
        except Unavailable as error:
            outcome.unavailable = error
        self._swap([row for row in page if row.id in fresh], fresh, outcome)
        return outcome

    def finish(self) -> None:
        """Retire the generations that nothing is sealed under any more."""
        retire_empty_pkeks(
            ProjectKEK.objects.filter(active_marker=None, **self._narrowed()), actor=self._actor
        )

    def _swap(self, page: Sequence[SealedRow], fresh: dict[str, Sealed], outcome: Outcome) -> None:
        if not page:
            return
        rows = type(page[0])._default_manager  # noqa: SLF001  # Django's API

        def swap() -> None:
            outcome.done = sum(
                rows.filter(id=row.id, pkek_id=row.pkek_id, iv=bytes(row.iv)).update(
                    pkek_id=fresh[row.id].pkek_id,
                    format=fresh[row.id].format,
                    iv=fresh[row.id].iv,
                    ciphertext=fresh[row.id].ciphertext,
                )
                for row in page
            )

        ours = rows.filter(id__in=fresh, iv__in=[sealed.iv for sealed in fresh.values()])
        writes.commit(swap, committed=ours.exists)
        outcome.lost = len(page) - outcome.done

    def _old_pkeks(self) -> QuerySet[ProjectKEK]:
        return needed_pkeks().filter(id__in=former_pkeks().values("id"), **self._narrowed())

    def _narrowed(self) -> dict[str, str]:
        wanted = {"project__external_id": self._scope.project, "mkek__label": self._scope.mkek}
        return {name: value for name, value in wanted.items() if value is not None}


def retire_empty_pkeks(
    pkeks: QuerySet[ProjectKEK], *, actor: audit.Actor, now: datetime | None = None
) -> int:
    """Retire those of ``pkeks`` that nothing is sealed under; return how many went.

    A generation is left for ``KEEPSITE_KEK_GRACE_S`` after a newer one took its place,
    because a request that began before may still store under it.  Should one do so even
    later, its generation comes back into service, and the row is moved by the next run.
    The last generation of a retired project goes once the project can no longer be restored.
    """
    now = now or timezone.now()
    grace = timedelta(seconds=settings.KEK_GRACE_S)
    is_replaced = Q(superseded_at__lte=now - grace)
    is_beyond_recovery = Q(project__retired_at__lt=now - grace - timedelta(days=settings.RECOVERY_DAYS))
    ready = pkeks.filter(is_replaced | is_beyond_recovery, state=ProjectKEK.State.DECRYPT_ONLY)
    retired = 0
    for pkek in without_rows(ready).select_related("project"):
        mine = ProjectKEK.objects.filter(id=pkek.id, state=ProjectKEK.State.RETIRED, retired_at=now)
        free = without_rows(ProjectKEK.objects.filter(id=pkek.id, state=ProjectKEK.State.DECRYPT_ONLY))
        writes.commit(
            lambda free=free: free.update(state=ProjectKEK.State.RETIRED, retired_at=now),  # type: ignore[misc]  # bound now
            committed=mine.exists,
        )
        if mine.exists() and not revive_needed(mine):
            change = audit.Change(
                before={"state": ProjectKEK.State.DECRYPT_ONLY.value, "retired_at": None},
                after={"state": ProjectKEK.State.RETIRED.value, "retired_at": now},
            )
            audit.record("pkek.retired", actor=actor, subject=pkek, change=change)
            retired += 1
    return retired


def revive_needed(pkeks: QuerySet[ProjectKEK]) -> int:
    """Bring retired generations back into service that a row is sealed under all the same."""
    revived = 0
    for pkek in pkeks.filter(state=ProjectKEK.State.RETIRED).exclude(id__in=without_rows(pkeks).values("id")):
        late = ProjectKEK.objects.filter(id=pkek.id, state=ProjectKEK.State.RETIRED)
        writes.commit(
            lambda late=late: late.update(state=ProjectKEK.State.DECRYPT_ONLY, retired_at=None),  # type: ignore[misc]  # bound now
            committed=lambda late=late: not late.exists(),  # type: ignore[misc]  # bound now
        )
        log.warning("keyring.pkek_revived", pkek_id=pkek.id)
        revived += 1
    return revived


def without_rows(pkeks: QuerySet[ProjectKEK]) -> QuerySet[ProjectKEK]:
    """Those that no row of any kind is sealed under."""
    for model in sealed_row_models():
        pkeks = pkeks.filter(~Exists(model._default_manager.filter(pkek=OuterRef("pk"))))  # noqa: SLF001
    return pkeks


def _sealing_key(project: Project) -> ProjectKEK:
    """The generation that rows of ``project`` belong under, be it retired or not."""
    active = active_pkek(project.external_id)
    if active is not None:
        return active
    resting = sealing_pkeks().filter(project=project).select_related("project", "mkek").first()
    return resting or services.sealing_key(project.external_id)


def _sealed_anew(row: SealedRow, target: ProjectKEK) -> Sealed:
    context = row.seal_context
    if context.project_id != target.project.external_id:
        log.critical("keyring.foreign_pkek", row_id=row.pk, pkek_id=row.pkek_id)
        raise KeyMaterialError
    plaintext = services.open_sealed(row.sealed, pkek=row.pkek, context=context)
    return services.seal(plaintext, pkek=target, context=context)
