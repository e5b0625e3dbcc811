"""Delete rows for good: page by page, in small transactions, killed and resumed at will.

The rows that are due are the progress: a run that ends, however it ends, leaves the
rest to the next.  Runs start at different places, so that several hardly meet; where
they do, each row goes once.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, F, IntegerField, Model, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from keepsite import audit, writes
from keepsite.ids import new_id
from keepsite.projects.services import count_anew

LONGER_THAN_TOTALS_LIVE = timedelta(days=1)
BATCH_ROWS = 1_000  # of all tables together per transaction: a cluster certifies each of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Hanging:
    """Rows that go with another."""

    model: type[Model]
    path: str  # from it to the row it hangs on


@dataclass(frozen=True, slots=True, kw_only=True)
class Purgeable:
    """Rows of one kind that are due to be purged, and what goes with each."""

    noun: str  # plural, as commands print it
    due: QuerySet[Any]  # Any: rows of either kind
    hanging: tuple[Hanging, ...] = ()  # in the order of deletion: leaves first
    listed: bool = False  # in a list of its project, whose total is remembered

    def count(self) -> int:
        """How many are due."""
        return self.due.count()


@dataclass(frozen=True, slots=True, kw_only=True)
class Purging:
    """What one run is about; the moment is fixed, so that its end is."""

    kinds: tuple[Purgeable, ...]
    reason: str  # for the audit record: "deleted before 2026-01-31T12:00:00Z"

    def left(self) -> dict[str, int]:
        """How many rows of each kind are due."""
        return {kind.noun: kind.count() for kind in self.kinds}

    def going_along(self) -> dict[str, int]:
        """How many rows of each model go with them, by the model's plural name."""
        found: dict[str, int] = {}
        for kind in self.kinds:
            for hanging in kind.hanging:
                name = str(hanging.model._meta.verbose_name_plural)  # noqa: SLF001  # Django's documented way
                rows = hanging.model._default_manager.filter(**{f"{hanging.path}__in": kind.due.values("pk")})  # noqa: SLF001
                found[name] = found.get(name, 0) + rows.count()
        return found


def purge(
    purging: Purging,
    *,
    actor: audit.Actor,
    batch_rows: int = BATCH_ROWS,
    done: Callable[[str, int], None] = lambda _noun, _count: None,
    is_enough: Callable[[], bool] = lambda: False,
) -> None:
    """Delete all that is due, each object in one transaction with what hangs on it.

    A transaction deletes at most ``batch_rows`` rows, or one object with more.  After
    each, ``done`` is told the kind and how many objects went.  Every object is in the
    audit trail, and the run itself before its first.  Ends when nothing is left, when
    what is left is not getting less, or after a transaction at whose end ``is_enough``.

    Raises:
        NotAllowed: ``actor`` is no operator.
        Unavailable: the database did not take a batch; what went before it is gone,
            and another run goes on.
    """
    audit.require_operator(actor)
    audit.record("purge.started", actor=actor, subject="purge", reason=purging.reason)
    for kind in purging.kinds:
        left = kind.count()
        while left:
            for count in _once_round(kind, actor=actor, batch_rows=batch_rows, reason=purging.reason):
                done(kind.noun, count)
                if is_enough():
                    return
            before, left = left, kind.count()
            if left >= before:
                break


def _once_round(kind: Purgeable, *, actor: audit.Actor, batch_rows: int, reason: str = "") -> Iterator[int]:
    """Through all primary keys, from a place of this run's own."""
    start = new_id()
    for rows, cursor in ((kind.due, start), (kind.due.filter(pk__lte=start), "")):
        last = cursor
        while page := _page(kind, rows.filter(pk__gt=last), batch_rows=batch_rows):
            yield _delete(kind, page, actor=actor, reason=reason)
            last = page[-1]


def _page(kind: Purgeable, rows: QuerySet[Any], *, batch_rows: int) -> Sequence[str]:  # Any: either kind
    """The ids that the next transaction may take, by what hangs on each; no lock is held yet."""
    weight = F("own_row")
    for number, hanging in enumerate(kind.hanging):
        rows = rows.annotate(**{f"hanging_{number}": _count_of(hanging)})
        weight = weight + F(f"hanging_{number}")  # type: ignore[assignment]  # expressions add up
    weighed = rows.annotate(own_row=Value(1), weight=weight).order_by("pk").values_list("pk", "weight")
    page: list[str] = []
    total = 0
    for primary_key, rows_of_it in weighed[:batch_rows]:
        total += rows_of_it
        if page and total > batch_rows:
            break
        page.append(primary_key)
    return page


def _count_of(hanging: Hanging) -> Coalesce:
    found = hanging.model._default_manager.filter(**{hanging.path: OuterRef("pk")})  # noqa: SLF001  # Django's API
    counted = found.order_by().values(hanging.path).annotate(rows=Count("pk")).values("rows")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)


def _delete(kind: Purgeable, page: Sequence[str], *, actor: audit.Actor, reason: str = "") -> int:
    taken: list[str] = []

    def delete() -> None:
        # whoever else purges or restores one of these now waits; on another node of a cluster,
        # whichever commits second is refused and starts again
        rows = kind.due.filter(pk__in=page).select_for_update()
        if kind.listed:
            found = list(rows.values_list("pk", "project_id", "deleted_at"))
            taken[:] = [primary_key for primary_key, _, _ in found]
            if recent := {project_id for _, project_id, deleted_at in found if _may_be_counted(deleted_at)}:
                count_anew(recent)
        else:
            taken[:] = rows.values_list("pk", flat=True)
        for hanging in kind.hanging:
            _delete_rows(hanging.model._default_manager.filter(**{f"{hanging.path}__in": taken}))  # noqa: SLF001
        _delete_rows(kind.due.model._default_manager.filter(pk__in=taken))  # noqa: SLF001

    writes.commit(delete, committed=lambda: not kind.due.filter(pk__in=page).exists())
    for primary_key in taken:
        audit.record(
            "purged",
            actor=actor,
            subject=f"{kind.due.model._meta.model_name}:{primary_key}",  # noqa: SLF001
            reason=reason,
        )
    return len(taken)


def _may_be_counted(deleted_at: datetime | None) -> bool:
    """Whether a process may still remember a total with such a row in it.

    What was deleted long ago is in none, so the daily purge writes to no project's row.
    """
    return deleted_at is None or deleted_at > timezone.now() - LONGER_THAN_TOTALS_LIVE


def _delete_rows(rows: QuerySet[Any]) -> None:  # Any: rows of any kind
    """One DELETE statement; Django's own ``delete`` would read every row first, a hundred at a time."""
    rows._raw_delete(rows.db)  # noqa: SLF001  # what its ``delete`` itself ends in
