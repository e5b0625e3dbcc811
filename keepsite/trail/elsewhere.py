"""Checkpoints kept where nobody who runs this database can change them, and compared with it later."""

from collections.abc import Iterator, Sequence

from keepsite.errors import InvalidInput
from keepsite.trail.checkpoints import opened
from keepsite.trail.models import AuditCheckpoint, AuditSegment, Json


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

    Raises:
        InvalidInput: ``kept`` is not what ``newest_checkpoints`` gave.
    """
    for chain, number, digest in _checked(kept):
        found = AuditSegment.objects.filter(chain=chain, number=number).values_list("digest", flat=True)
        now = found.first()
        if now is None:
            yield f"Segment {number} of chain {chain}, whose checkpoint was kept, is gone."
        elif now != digest:
            yield f"Segments of chain {chain} up to {number} are not those whose checkpoint was kept."


def _checked(kept: object) -> Sequence[tuple[str, int, str]]:
    try:
        return [(str(one["chain"]), int(one["segment"]), str(one["digest"])) for one in kept]  # type: ignore[attr-defined]  # what is none raises
    except (TypeError, KeyError, ValueError) as error:
        raise InvalidInput("This is not what audit_verify --checkpoints printed.") from error
