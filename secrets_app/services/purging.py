"""Delete rows for good: page by page, in small transactions, killed and resumed at will.

The rows that are due are the progress: a run that ends, however it ends, leaves the
rest to the next.  Runs start at different places, so that several hardly meet; where
they do, each row goes once.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
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
    what: str  # "deleted before 2026-01-31T12:00:00Z"
    limits: Mapping[str, datetime] = field(default_factory=dict)  # by name: deleted_before
    reason: str = ""  # the operator's words

    @property
    def why(self) -> str:
        """What its audit records give as their reason."""
        return f"{self.what}; {self.reason}" if self.reason else self.what

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


def chosen_in_console(kind: Purgeable, *, reason: str) -> Purging:
    """Rows that an operator ticked."""
    return Purging(kinds=(kind,), what="chosen in the console", reason=reason)


def deleted_before(moment: datetime, kinds: Sequence[Purgeable], *, reason: str = "") -> Purging:
    """Rows that are due since they were deleted before ``moment``."""
    return Purging(
        kinds=tuple(kinds),
        what=f"deleted before {moment:%Y-%m-%dT%H:%M:%SZ}",
        limits={"deleted_before": moment},
        reason=reason,
    )


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
    audit trail, and the run itself before its first, with what was due, and at its end,
    with what went, rows that hung on something included, and what is left.  Ends when
    nothing is left, when what is left is not getting less, or after a transaction at
    whose end ``is_enough``.

    Raises:
        NotAllowed: ``actor`` is no operator.
        Unavailable: the database did not take a batch; what went before it is gone,
            and another run goes on.
    """
    audit.require_operator(actor)
    before = {**purging.limits, **purging.left()}
    record = partial(audit.record, actor=actor, subject="purge", reason=purging.why)
    record("purge.started", change=audit.Change(before=before))
    gone: Counter[str] = Counter()
    left: dict[str, int] = {}  # stays empty where the database is away
    try:
        for count in _purge_all(purging, actor=actor, batch_rows=batch_rows, gone=gone, done=done):
            if count and is_enough():
                break
        left = purging.left()
    finally:
        went = {f"{noun} purged": count for noun, count in gone.items() if count}
        record("purge.ended", change=audit.Change(before=before, after={**purging.limits, **left, **went}))


def _purge_all(
    purging: Purging,
    *,
    actor: audit.Actor,
    batch_rows: int,
    gone: Counter[str],
    done: Callable[[str, int], None],
) -> Iterator[int]:
    """Kind by kind; what each transaction deleted, as soon as it is committed."""
    for kind in purging.kinds:
        left = kind.count()
        while left:
            for count in _once_round(kind, actor=actor, batch_rows=batch_rows, why=purging.why, gone=gone):
                done(kind.noun, count)
                yield count
            before, left = left, kind.count()
            if left >= before:
                break


def _once_round(
    kind: Purgeable, *, actor: audit.Actor, batch_rows: int, why: str, gone: Counter[str]
) -> Iterator[int]:
    """Through all primary keys, from a place of this run's own."""
    start = new_id()
    for rows, cursor in ((kind.due, start), (kind.due.filter(pk__lte=start), "")):
        last = cursor
        while page := _page(kind, rows.filter(pk__gt=last), batch_rows=batch_rows):
            yield _delete(kind, page, actor=actor, why=why, gone=gone)
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


def _delete(kind: Purgeable, page: Sequence[str], *, actor: audit.Actor, why: str, gone: Counter[str]) -> int:
    """One transaction; ``gone`` counts its rows by the plural name of their model, objects by their noun."""
    taken: list[str] = []
    went: Counter[str] = Counter()

    def delete() -> None:
        went.clear()
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
            rows = hanging.model._default_manager.filter(**{f"{hanging.path}__in": taken})  # noqa: SLF001
            went[str(hanging.model._meta.verbose_name_plural)] += _delete_rows(rows)  # noqa: SLF001
        went[kind.noun] += _delete_rows(kind.due.model._default_manager.filter(pk__in=taken))  # noqa: SLF001

    writes.commit(delete, committed=lambda: not kind.due.filter(pk__in=page).exists())
    gone.update(went)
    for primary_key in taken:
        audit.record(
            "purged",
            actor=actor,
            subject=f"{kind.due.model._meta.model_name}:{primary_key}",  # noqa: SLF001
            reason=why,
        )
    return len(taken)


def _may_be_counted(deleted_at: datetime | None) -> bool:
    """Whether a process may still remember a total with such a row in it.

    What was deleted long ago is in none, so the daily purge writes to no project's row.
    """
    return deleted_at is None or deleted_at > timezone.now() - LONGER_THAN_TOTALS_LIVE


def _delete_rows(rows: QuerySet[Any]) -> int:  # Any: rows of any kind
    """One DELETE statement; Django's own ``delete`` would read every row first, a hundred at a time."""
    return rows._raw_delete(rows.db) or 0  # noqa: SLF001  # what its ``delete`` itself ends in; None for "IN ()"
