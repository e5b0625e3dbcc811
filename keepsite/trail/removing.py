"""Take away what a sealed removal names: recorded first, oldest first, a bounded transaction at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile

import structlog
from django.db.models import QuerySet

from keepsite import audit, writes
from keepsite.trail.models import AuditChain, AuditCheckpoint, AuditRecord, AuditRemoval, AuditSegment
from keepsite.trail.removals import Removal
from keepsite.trail.sealing import ChainBrokenError

log = structlog.get_logger(__name__)

BATCH_ROWS = 1_000  # of one transaction: a cluster certifies each of them
PAGE_SEGMENTS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """Segments, and copies of records in them."""

    segments: int
    records: int


def segments_until(chain: AuditChain, number: int) -> QuerySet[AuditSegment]:
    """The chain's segments up to ``number``, which is one of them."""
    found: QuerySet[AuditSegment] = chain.segments.filter(number__lte=number)
    return found


def extent_of(chain: AuditChain, *, until: int) -> Extent:
    """How much is there up to segment ``until``."""
    return Extent(
        segments=segments_until(chain, until).count(),
        records=AuditRecord.objects.filter(segment__chain=chain, segment__number__lte=until).count(),
    )


def remove(
    chain: AuditChain,
    removal: Removal,
    *,
    actor: audit.Actor,
    is_enough: Callable[[], bool],
    told: Callable[[int], None],
    is_resumed: bool = False,
) -> bool:
    """Remove what ``removal`` says; whether all of it is gone, and noted to be.

    What a removal that had come to its end finds again was put back by somebody: it is
    logged as critical, and goes.

    Raises:
        ChainBrokenError: nothing stands behind what would go.
        Unavailable: as ``prune`` says.
    """
    rows = AuditRemoval.objects.filter(chain=chain, number=removal.number)
    is_over = rows.filter(gone_until=removal.number).exists()
    extent = extent_of(chain, until=removal.number)
    if extent.segments:
        if is_over:
            log.critical(
                "audit.put_back_removed",
                chain=chain.id,
                node=chain.node,
                segments=extent.segments,
                records=extent.records,
            )
        why = "put back after it was removed" if is_over else "the rest of a removal that was interrupted"
        _record(chain, removal, extent, actor=actor, note=f"; {why}" if is_resumed else "")
    while page := _page(chain, removal):
        _delete(page)
        told(len(page))
        if is_enough():
            return False
    old = chain.checkpoints.filter(number__lt=removal.number)
    while ids := list(old.values_list("id", flat=True)[:BATCH_ROWS]):
        _delete_rows(AuditCheckpoint.objects.filter(id__in=ids))
    if not is_over:
        writes.commit(lambda: rows.update(gone_until=removal.number), committed=lambda: False)
    return True


def _record(chain: AuditChain, removal: Removal, extent: Extent, *, actor: audit.Actor, note: str) -> None:
    """Before anything goes: what is not recorded is not removed."""
    first = chain.segments.order_by("number").values_list("number", "collected_at").first()
    following = chain.segments.filter(number__gt=removal.number).order_by("number")
    kept_from = following.values_list("collected_at", flat=True).first()
    if kept_from is None:
        raise ChainBrokenError(f"{chain}: nothing is left behind segment {removal.number}")
    began, began_at = first or (None, None)
    audit.record(
        "audit_chain.pruned",
        actor=actor,
        subject=chain,
        reason=f"retention of {removal.days} days: sealed before {removal.limit:%Y-%m-%dT%H:%M:%SZ}{note}",
        change=audit.Change(
            before={"first_segment": began, "collected_from": began_at},
            after={
                "first_segment": removal.number + 1,
                "collected_from": kept_from,
                "segments_removed": extent.segments,
                "records_removed": extent.records,
            },
        ),
        is_required=True,
    )
    rows = AuditChain.objects.filter(id=chain.id, whole_since__lt=kept_from)
    writes.commit(lambda: rows.update(whole_since=kept_from), committed=lambda: False)


def _page(chain: AuditChain, removal: Removal) -> list[str]:
    """Segments that the next transaction may take with their copies."""
    rows = 0

    def fits(segment: tuple[str, int]) -> bool:
        nonlocal rows
        is_first, rows = rows == 0, rows + 1 + segment[1]
        return is_first or rows <= BATCH_ROWS

    oldest = segments_until(chain, removal.number).order_by("number").values_list("id", "lines")
    return [segment_id for segment_id, _ in takewhile(fits, oldest[:PAGE_SEGMENTS])]


def _delete(segment_ids: list[str]) -> None:
    copies = AuditRecord.objects.filter(segment__in=segment_ids)
    segments = AuditSegment.objects.filter(id__in=segment_ids)

    def delete() -> None:
        copies._raw_delete(copies.db)  # noqa: SLF001  # what Django's ``delete`` ends in, without reading all
        segments._raw_delete(segments.db)  # noqa: SLF001  # likewise

    writes.commit(delete, committed=lambda: not segments.exists())


def _delete_rows(rows: QuerySet[AuditCheckpoint]) -> None:
    writes.commit(lambda: rows._raw_delete(rows.db), committed=lambda: not rows.exists())  # noqa: SLF001
