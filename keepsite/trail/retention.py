"""Remove what was collected longer ago than the retention, so that the rest still proves to be whole.

A removal ends at a checkpoint.  It is sealed by the HSM before its first row goes, after
what goes was verified once more; so whatever else is deleted shows as before.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import structlog
from django.db import IntegrityError
from django.db.models import QuerySet, Sum
from django.utils import timezone

from keepsite import audit, writes
from keepsite.errors import InvalidInput
from keepsite.trail import checkpoints, removals
from keepsite.trail.checkpoints import Statement
from keepsite.trail.digests import BEGINNING
from keepsite.trail.models import AuditChain, AuditCheckpoint, AuditRemoval
from keepsite.trail.removals import MIN_DAYS, Removal
from keepsite.trail.removing import Extent, extent_of, remove, segments_until
from keepsite.trail.sealing import ChainBrokenError, newest_of
from keepsite.trail.verifying import Check

log = structlog.get_logger(__name__)

STEP_LINES = 50_000  # a removal takes no more at once, unless one checkpoint covers more


def due(chain: AuditChain, *, days: int, now: datetime) -> Extent:
    """What ``prune`` would remove of the chain, as far as its columns tell."""
    removed = AuditRemoval.objects.filter(chain=chain).values_list("number", flat=True).first() or 0
    last = _old_checkpoints(chain, days=days, now=now, after=removed).order_by("-number").first()
    return extent_of(chain, until=last.number if days and last else removed)


def prune(  # noqa: PLR0913  # whose, by which rule, and how far this time
    chain: AuditChain,
    *,
    days: int,
    actor: audit.Actor,
    clock: Callable[[], datetime] = timezone.now,
    is_enough: Callable[[], bool] = lambda: False,
    most_lines: int | None = None,
    told: Callable[[int], None] = lambda _segments: None,
) -> bool:
    """Remove what was sealed more than ``days`` ago, step by step; whether all of it is gone.

    With ``days`` 0 only what a killed run has left is removed.  What is due is judged by the
    ``clock`` as the run begins; each step is sealed with what it says then.  ``told`` hears of
    each transaction's segments; ``is_enough`` is asked after it, and while a step is verified,
    and ends the run.  A step of more than ``most_lines`` is left alone.

    Raises:
        ChainBrokenError: what the next step would take is not whole, or the chain was found not
            to be: it is evidence, and all that is still there stays.  The steps before, each
            verified as a whole, are gone.
        NotAllowed: ``actor`` is no operator.
        InvalidInput: ``days`` are fewer than any retention may have.
        Unavailable: no token or no database could serve, or the audit record could not be
            written; what went before is gone, and another run goes on.
    """
    audit.require_operator(actor)
    if days and days < MIN_DAYS:
        raise InvalidInput(f"No retention is shorter than {MIN_DAYS} days (KEEPSITE_AUDIT_RETENTION_DAYS).")
    began_at = clock()
    removal = _present_removal(chain)
    carry_out = partial(remove, chain, actor=actor, is_enough=is_enough, told=told)
    if removal is not None and not carry_out(removal, is_resumed=True):
        return False
    while days and not is_enough():
        until = _next_step(chain, removal, days=days, now=began_at)
        if until is None:
            return True
        lines = segments_until(chain, until.number).aggregate(lines=Sum("lines"))["lines"] or 0
        if most_lines is not None and lines > most_lines:
            log.warning("audit.removal_left_to_command", chain=chain.id, node=chain.node, lines=lines)
            return True
        removal = _decide(chain, removal, until, days=days, clock=clock, is_enough=is_enough)
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
    # None is without a line, so a step ends within these; a MySQL driver would fetch all the others too.
    for number, of_it in segments[: STEP_LINES + 1]:  # noqa: B007  # used after the loop
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
    clock: Callable[[], datetime],
    is_enough: Callable[[], bool],
) -> Removal | None:
    """Seal that all up to ``until`` goes, once it is verified.

    None if there was no time for that, or if somebody else does it at this moment.
    """
    check = _verified(chain, before, until, is_enough=is_enough)
    if check is None:
        return None
    latest = _newest_statement(chain, until)
    last = chain.segments.filter(number=until.number).first()
    if last is None:  # since it was verified
        return None
    audit.require_writable(is_required=True)  # or it would be sealed, and wait for its record unfinished
    removal = Removal(
        chain_id=chain.id,
        number=until.number,
        digest=until.digest,
        file=last.file,
        end=last.end,
        days=days,
        removed_at=clock().isoformat(timespec="seconds"),
        sealed_until=latest.number,
        records=(before.records if before else 0) + check.records,
    )
    return removal if _store(chain, before, removal) else None


def _verified(
    chain: AuditChain, before: Removal | None, until: Statement, *, is_enough: Callable[[], bool]
) -> Check | None:
    """What a step would take, found to be whole; None as ``_decide`` has it."""
    # anew for each step: a verification may have ended since the last one, or be under way
    found = AuditChain.objects.filter(id=chain.id).values_list("findings", "pass_findings").first()
    if found != ([], []):
        raise ChainBrokenError(f"{chain} was found not to be whole")
    _newest_statement(chain, until)
    check = Check(chain, after=before.number if before else 0, digest=before.digest if before else BEGINNING)
    while check.next_page(until.number):
        if is_enough():
            return None
    if check.removal is not None and check.removal.number >= until.number:
        return None
    if check.findings:
        raise ChainBrokenError(f"{chain}: {check.findings[0].words}")
    if check.number != until.number or check.digest != until.digest:
        raise ChainBrokenError(f"{chain}: segments up to {until.number} are not those that were sealed")
    return check


def _newest_statement(chain: AuditChain, until: Statement) -> Statement:
    """What the chain's newest checkpoint says, which is behind ``until``."""
    newest = newest_of(chain)
    latest = checkpoints.opened(newest) if newest else None
    if latest is None or not latest.is_newest or latest.number <= until.number:
        raise ChainBrokenError(f"the newest checkpoint of {chain} is missing, or this HSM did not seal it")
    return latest


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
