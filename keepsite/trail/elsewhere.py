"""Checkpoints kept where nobody who runs this database can change them, and compared with it later."""

from collections.abc import Iterator, Sequence

from keepsite.errors import InvalidInput
from keepsite.trail.checkpoints import opened
from keepsite.trail.models import AuditCheckpoint, AuditRemoval, AuditSegment, Json
from keepsite.trail.removals import Removal
from keepsite.trail.removals import opened as opened_removal


def newest_checkpoints() -> list[Json]:
    """The newest of each chain, as far as this HSM sealed it: what to print, or to file away.

    Raises:
        Unavailable: no token could serve.
    """
    rows = AuditCheckpoint.objects.filter(newest_marker=True).select_related(
        "chain", "pkek__project", "pkek__mkek"
    )
    return [
        {
            "chain": statement.chain_id,
            "node": row.chain.node,
            "segment": statement.number,
            "digest": statement.digest,
            "sealed_at": statement.sealed_at,
        }
        for row in rows.order_by("chain__node", "chain")
        if (statement := opened(row))
    ]


def contradictions(kept: object) -> Iterator[str]:
    """What checkpoints of earlier days say against the database as it is now.

    One below what the retention removed says nothing any more: ``beyond_retention``.

    Raises:
        InvalidInput: ``kept`` is not what ``newest_checkpoints`` gave.
        Unavailable: no token could serve.
    """
    removals = _removals()
    for chain, number, digest in _checked(kept):
        removal = removals.get(chain)
        if removal is not None and number < removal.number:
            continue
        found = AuditSegment.objects.filter(chain=chain, number=number).values_list("digest", flat=True)
        now = removal.digest if removal is not None and number == removal.number else found.first()
        if now is None:
            yield f"Segment {number} of chain {chain}, whose checkpoint was kept, is gone."
        elif now != digest:
            yield f"Segments of chain {chain} up to {number} are not those whose checkpoint was kept."


def beyond_retention(kept: object) -> Iterator[str]:
    """Kept checkpoints that nothing is left to compare with, since the retention removed it.

    Raises:
        InvalidInput: ``kept`` is not what ``newest_checkpoints`` gave.
        Unavailable: no token could serve.
    """
    removals = _removals()
    for chain, number, _ in _checked(kept):
        removal = removals.get(chain)
        if removal is not None and number < removal.number:
            yield (
                f"Segment {number} of chain {chain}, whose checkpoint was kept, was removed by the retention"
                f" of {removal.days} days: nothing is left to compare it with."
            )


def _removals() -> dict[str, Removal]:
    """What was removed of each chain, as far as this HSM sealed it."""
    rows = AuditRemoval.objects.select_related("pkek__project", "pkek__mkek")
    return {row.chain_id: removal for row in rows if (removal := opened_removal(row))}


def _checked(kept: object) -> Sequence[tuple[str, int, str]]:
    try:
        return [(str(one["chain"]), int(one["segment"]), str(one["digest"])) for one in kept]  # type: ignore[attr-defined]  # what is none raises
    except (TypeError, KeyError, ValueError) as error:
        raise InvalidInput("This is not what audit_verify --checkpoints printed.") from error
