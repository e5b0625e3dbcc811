"""Have the HSM seal how far each chain goes, so that nobody without the HSM can make another."""

from datetime import datetime, timedelta

import structlog
from django.db import IntegrityError

from keepsite import writes
from keepsite.trail.checkpoints import Statement, columns_of, opened, seal
from keepsite.trail.models import AuditChain, AuditCheckpoint
from keepsite.trail.verifying import Check

log = structlog.get_logger(__name__)

KEEP_EVERY = timedelta(
    hours=1
)  # within it the newest checkpoint moves on; then it stays and a new one begins


class ChainBrokenError(Exception):
    """What would be sealed does not follow from what was: somebody changed it in between."""


def newest_of(chain: AuditChain) -> AuditCheckpoint | None:
    """The chain's newest checkpoint, with what opening it needs."""
    rows = chain.checkpoints.select_related("pkek__project", "pkek__mkek")
    return rows.filter(newest_marker=True).first()


def seal_chain(chain: AuditChain, *, now: datetime) -> bool:
    """Seal up to the chain's last segment; whether there was anything to seal.

    Segments since the newest checkpoint are verified first: what was changed before it
    could be sealed is not sealed over.  Each checkpoint is logged too, so that whoever
    collects logs keeps it out of reach of whoever can write to the database.

    Raises:
        ChainBrokenError: they do not hold, or the newest checkpoint is gone or not ours.
        Unavailable: no token could serve, or the database is away.
    """
    last = chain.segments.order_by("-number").first()
    newest = newest_of(chain)
    if last is None or (newest is not None and newest.number == last.number):
        return False
    before = opened(newest) if newest else None
    if (newest is None and chain.checkpoints.exists()) or (newest is not None and before is None):
        raise ChainBrokenError(f"the newest checkpoint of {chain} is missing, or this HSM did not seal it")
    check = Check(chain, after=before.number if before else 0, digest=before.digest if before else None)
    check.segments_until(last.number)
    if check.findings:
        raise ChainBrokenError(f"{chain}: {check.findings[0].words}")
    statement = Statement(
        chain_id=chain.id,
        number=last.number,
        digest=last.digest,
        is_newest=True,
        previous=before.previous if before else 0,
        sealed_at=now.isoformat(timespec="seconds"),
        others=_others(chain),
    )
    if newest is None or before is None or now - newest.created_at < KEEP_EVERY:
        _move(chain, newest, statement, now=now)
    else:
        _begin_another(chain, newest, before, statement, now=now)
    log.info(
        "audit.checkpoint", chain=chain.id, node=chain.node, number=statement.number, digest=statement.digest
    )
    return True


def _others(chain: AuditChain) -> dict[str, int]:
    sealed = AuditCheckpoint.objects.filter(newest_marker=True).exclude(chain=chain)
    return dict(sealed.order_by("chain").values_list("chain_id", "number"))


def _move(chain: AuditChain, newest: AuditCheckpoint | None, statement: Statement, *, now: datetime) -> None:
    columns = columns_of(statement, seal(statement))
    if newest is None:
        row = AuditCheckpoint(chain=chain, created_at=now, **columns)
        _insert(row)
        return
    rows = AuditCheckpoint.objects.filter(id=newest.id, number=newest.number, newest_marker=True)
    writes.commit(lambda: rows.update(**columns), committed=lambda: not rows.exists())


def _begin_another(
    chain: AuditChain,
    newest: AuditCheckpoint,
    before: Statement,
    statement: Statement,
    *,
    now: datetime,
) -> None:
    """The newest one stays for good, sealed as an older one; the next is the newest."""
    kept = Statement(
        chain_id=chain.id,
        number=before.number,
        digest=before.digest,
        is_newest=False,
        previous=before.previous,
        sealed_at=before.sealed_at,
        others=before.others,
    )
    following = Statement(
        chain_id=chain.id,
        number=statement.number,
        digest=statement.digest,
        is_newest=True,
        previous=before.number,
        sealed_at=statement.sealed_at,
        others=statement.others,
    )
    kept_columns, columns = columns_of(kept, seal(kept)), columns_of(following, seal(following))
    row = AuditCheckpoint(chain=chain, created_at=now, **columns)
    rows = AuditCheckpoint.objects.filter(id=newest.id, number=newest.number, newest_marker=True)

    def replace() -> None:
        if not rows.update(**kept_columns):
            raise IntegrityError("another worker has sealed meanwhile")
        row.save(force_insert=True)

    try:
        writes.commit(replace, committed=AuditCheckpoint.objects.filter(id=row.id).exists)
    except IntegrityError:
        log.info("audit.sealed_by_another", chain=chain.id)


def _insert(row: AuditCheckpoint) -> None:
    try:
        writes.commit(
            lambda: row.save(force_insert=True), committed=AuditCheckpoint.objects.filter(id=row.id).exists
        )
    except IntegrityError:
        log.info("audit.sealed_by_another", chain=row.chain_id)
