"""Checkpoints kept where nobody who runs this database can change them, and compared with it later."""

from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What kept checkpoints say: what contradicts them now, and what nothing is left to compare with."""

    contradictions: tuple[str, ...] = ()
    beyond_retention: tuple[str, ...] = ()


def compared(kept: object) -> Comparison:
    """What checkpoints of earlier days say against the database as it is now.

    One below what the retention removed says nothing any more.

    Raises:
        InvalidInput: ``kept`` is not what ``newest_checkpoints`` gave.
        Unavailable: no token could serve.
    """
    now = [(chain, number, digest, _digest(chain, number)) for chain, number, digest in _checked(kept)]
    removals = _removals()  # read last: what goes meanwhile was sealed to go
    contradictions, beyond = [], []
    for chain, number, digest, found in now:
        removal = removals.get(chain)
        if removal is not None and number < removal.number:
            beyond.append(
                f"Segment {number} of chain {chain}, whose checkpoint was kept, was removed by the retention"
                f" of {removal.days} days: nothing is left to compare it with."
            )
            continue
        here = removal.digest if removal is not None and number == removal.number else found
        if here is None:
            contradictions.append(f"Segment {number} of chain {chain}, whose checkpoint was kept, is gone.")
        elif here != digest:
            words = f"Segments of chain {chain} up to {number} are not those whose checkpoint was kept."
            contradictions.append(words)
    return Comparison(contradictions=tuple(contradictions), beyond_retention=tuple(beyond))


def _digest(chain: str, number: int) -> str | None:
    found: str | None = (
        AuditSegment.objects.filter(chain=chain, number=number).values_list("digest", flat=True).first()
    )
    return found


def _removals() -> dict[str, Removal]:
    """What was removed of each chain, as far as this HSM sealed it."""
    rows = AuditRemoval.objects.select_related("pkek__project", "pkek__mkek")
    return {row.chain_id: removal for row in rows if (removal := opened_removal(row))}


def _checked(kept: object) -> Sequence[tuple[str, int, str]]:
    try:
        return [(str(one["chain"]), int(one["segment"]), str(one["digest"])) for one in kept]  # type: ignore[attr-defined]  # what is none raises
    except (TypeError, KeyError, ValueError) as error:
        raise InvalidInput("This is not what audit_verify --checkpoints printed.") from error
