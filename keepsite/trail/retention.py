"""Remove what was collected longer ago than the retention, so that the rest still proves to be whole.

A removal ends at a checkpoint.  It is sealed by the HSM before its first row goes, after
what goes was verified once more; so whatever else is deleted shows as before.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import takewhile

import structlog
from django.db import IntegrityError
from django.db.models import QuerySet, Sum

from keepsite import audit, writes
from keepsite.errors import InvalidInput
from keepsite.trail import checkpoints, removals
from keepsite.trail.checkpoints import Statement
from keepsite.trail.digests import BEGINNING
from keepsite.trail.models import AuditChain, AuditCheckpoint, AuditRecord, AuditRemoval, AuditSegment
from keepsite.trail.removals import MIN_DAYS, Removal
from keepsite.trail.sealing import ChainBrokenError, newest_of
from keepsite.trail.verifying import Check

log = structlog.get_logger(__name__)

BATCH_ROWS = 1_000  # of one transaction: a cluster certifies each of them
STEP_LINES = 50_000  # a removal takes no more at once, unless one checkpoint covers more
PAGE_SEGMENTS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """Segments, and copies of records in them."""

    segments: int
    records: int


def due(chain: AuditChain, *, days: int, now: datetime) -> Extent:
    """What ``prune`` would remove of the chain, as far as its columns tell."""
    last = _old_checkpoints(chain, days=days, now=now, after=0).order_by("-number").first()
    return _extent(chain, until=last.number if last else 0)


def prune(  # noqa: PLR0913  # whose, by which rule, and how far this time
    chain: AuditChain,
    *,
    days: int,
    actor: audit.Actor,
    now: datetime,
    is_enough: Callable[[], bool] = lambda: False,
    most_lines: int | None = None,
    told: Callable[[int], None] = lambda _segments: None,
) -> bool:
    """Remove what was sealed more than ``days`` ago, step by step; whether all of it is gone.

    With ``days`` 0 only what a killed run has left is removed.  ``told`` hears of each
    transaction's segments; ``is_enough`` is asked after it, and while a step is verified,
    and ends the run.  A step of more than ``most_lines`` is left alone.

    Raises:
        ChainBrokenError: what would go is not whole, or the chain was found not to be:
            it is evidence, and all of it stays.
        NotAllowed: ``actor`` is no operator.
        InvalidInput: ``days`` are fewer than any retention may have.
        Unavailable: no token or no database could serve, or the audit record could not be
            written; what went before is gone, and another run goes on.
    """
    audit.require_operator(actor)
    if 0 < days < MIN_DAYS:
        raise InvalidInput(f"No retention is shorter than {MIN_DAYS} days (KEEPSITE_AUDIT_RETENTION_DAYS).")
    removal = _present_removal(chain)
    carry_out = partial(_carry_out, chain, actor=actor, is_enough=is_enough, told=told)
    if removal is not None and not carry_out(removal, is_resumed=True):
        return False
    while days and not is_enough():
        until = _next_step(chain, removal, days=days, now=now)
        if until is None:
            return True
        lines = _segments(chain, until=until.number).aggregate(lines=Sum("lines"))["lines"] or 0
        if most_lines is not None and lines > most_lines:
            log.warning("audit.removal_left_to_command", chain=chain.id, node=chain.node, lines=lines)
            return True
        removal = _decide(chain, removal, until, days=days, now=now, is_enough=is_enough)
        if removal is None or not carry_out(removal):
            return False
    return not days


def _present_removal(chain: AuditChain) -> Removal | None:
    row = removals.row_of(chain)
    removal = removals.opened(row) if row else None
    if row is not None and removal is None:
        raise ChainBrokenError(f"what was removed of {chain} was not sealed by this HSM, or was changed")
    return removal


def _old_checkpoints(chain: AuditChain, *, days: int, now: datetime, after: int) -> QuerySet[AuditCheckpoint]:
    """Those that stay and look old enough; what the HSM sealed has the last word."""
    rows = chain.checkpoints.select_related("pkek__project", "pkek__mkek")
    limit = now - timedelta(days=days)
    found: QuerySet[AuditCheckpoint] = rows.filter(newest_marker=None, sealed_at__lt=limit, number__gt=after)
    return found


def _next_step(chain: AuditChain, removal: Removal | None, *, days: int, now: datetime) -> Statement | None:
    """The checkpoint that the next removal ends at; None if nothing is due."""
    old = _old_checkpoints(chain, days=days, now=now, after=removal.number if removal else 0)
    first = old.order_by("number").first()
    if first is None:
        return None
    chosen = old.filter(number__lte=_number_within_a_step(chain)).order_by("-number").first() or first
    statement = checkpoints.opened(chosen)
    if statement is None or statement.is_newest:
        raise ChainBrokenError(f"the checkpoint at segment {chosen.number} of {chain} was not sealed as that")
    if datetime.fromisoformat(statement.sealed_at) >= now - timedelta(days=days):
        raise ChainBrokenError(f"the checkpoint at segment {chosen.number} of {chain} was dated back")
    return statement


def _number_within_a_step(chain: AuditChain) -> int:
    """Of the last segment that a step of STEP_LINES reaches."""
    lines = number = 0
    segments = chain.segments.order_by("number").values_list("number", "lines")
    for number, of_it in segments.iterator(chunk_size=PAGE_SEGMENTS):  # noqa: B007  # used after the loop
        lines += of_it
        if lines > STEP_LINES:
            break
    return number


def _decide(
    chain: AuditChain,
    before: Removal | None,
    until: Statement,
    *,
    days: int,
    now: datetime,
    is_enough: Callable[[], bool],
) -> Removal | None:
    """Seal that all up to ``until`` goes, once it is verified.

    None if there was no time for that, or if somebody else does it at this moment.
    """
    if chain.findings:
        raise ChainBrokenError(f"{chain} was found not to be whole")
    newest = newest_of(chain)
    latest = checkpoints.opened(newest) if newest else None
    if latest is None or not latest.is_newest or latest.number <= until.number:
        raise ChainBrokenError(f"the newest checkpoint of {chain} is missing, or this HSM did not seal it")
    check = Check(chain, after=before.number if before else 0, digest=before.digest if before else BEGINNING)
    while check.next_page(until.number):
        if is_enough():
            return None
    last = chain.segments.filter(number=until.number).first()
    if check.removal is not None and check.removal.number >= until.number:
        return None
    if check.findings:
        raise ChainBrokenError(f"{chain}: {check.findings[0].words}")
    if last is None or check.digest != until.digest:
        raise ChainBrokenError(f"{chain}: segments up to {until.number} are not those that were sealed")
    removal = Removal(
        chain_id=chain.id,
        number=until.number,
        digest=until.digest,
        file=last.file,
        end=last.end,
        days=days,
        removed_at=now.isoformat(timespec="seconds"),
        sealed_until=latest.number,
        records=(before.records if before else 0) + check.records,
    )
    return removal if _store(chain, before, removal) else None


def _store(chain: AuditChain, before: Removal | None, removal: Removal) -> bool:
    """Put it in the place of the one before; whether nobody else did meanwhile.  Durable on return."""
    columns = removals.columns_of(removal, removals.seal(removal))
    ours = AuditRemoval.objects.filter(chain=chain, iv=columns["iv"])
    if before is None:
        row = AuditRemoval(chain=chain, **columns)
        try:
            writes.commit(lambda: row.save(force_insert=True), committed=ours.exists)
        except IntegrityError:
            log.info("audit.removed_by_another", chain=chain.id)
            return False
        return True
    rows = AuditRemoval.objects.filter(chain=chain, number=before.number)
    writes.commit(lambda: rows.update(**columns), committed=ours.exists)
    return ours.exists()


def _carry_out(
    chain: AuditChain,
    removal: Removal,
    *,
    actor: audit.Actor,
    is_enough: Callable[[], bool],
    told: Callable[[int], None],
    is_resumed: bool = False,
) -> bool:
    """Remove what ``removal`` says, oldest first; whether all of it is gone."""
    extent = _extent(chain, until=removal.number)
    if extent.segments:
        _record(chain, removal, extent, actor=actor, is_resumed=is_resumed)
    while page := _page(chain, removal):
        _delete(page)
        told(len(page))
        if is_enough():
            return False
    old = chain.checkpoints.filter(number__lt=removal.number)
    while ids := list(old.values_list("id", flat=True)[:BATCH_ROWS]):
        _delete_rows(AuditCheckpoint.objects.filter(id__in=ids))
    return True


def _record(
    chain: AuditChain, removal: Removal, extent: Extent, *, actor: audit.Actor, is_resumed: bool
) -> None:
    """Before anything goes: what is not recorded is not removed."""
    first = chain.segments.order_by("number").values_list("number", "collected_at").first()
    following = chain.segments.filter(number__gt=removal.number).order_by("number")
    kept_from = following.values_list("collected_at", flat=True).first()
    began, began_at = first or (None, None)
    audit.record(
        "audit_chain.pruned",
        actor=actor,
        subject=chain,
        reason=f"retention of {removal.days} days: sealed before {removal.limit:%Y-%m-%dT%H:%M:%SZ}"
        f"{'; the rest of a removal that was interrupted' if is_resumed else ''}",
        change=audit.Change(
            before={"first_segment": began, "collected_from": began_at},
            after={
                "first_segment": removal.number + 1,
                "collected_from": kept_from,
                "segments_removed": extent.segments,
                "records_removed": extent.records,
            },
        ),
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

    oldest = _segments(chain, until=removal.number).order_by("number").values_list("id", "lines")
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


def _segments(chain: AuditChain, *, until: int) -> QuerySet[AuditSegment]:
    found: QuerySet[AuditSegment] = chain.segments.filter(number__lte=until)
    return found


def _extent(chain: AuditChain, *, until: int) -> Extent:
    return Extent(
        segments=_segments(chain, until=until).count(),
        records=AuditRecord.objects.filter(segment__chain=chain, segment__number__lte=until).count(),
    )
