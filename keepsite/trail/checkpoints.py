"""What a checkpoint says, and how the HSM seals and opens it."""

from dataclasses import dataclass
from datetime import datetime

from keepsite.errors import KeyMaterialError
from keepsite.keyring import services as keyring
from keepsite.keyring.sealed import Sealed
from keepsite.trail.models import AUDIT_PROJECT, AuditCheckpoint, context_of
from keepsite.trail.statements import SealedStatement


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement(SealedStatement):
    """The content of a checkpoint; fields are only ever added.

    ``others`` names every chain known at the time with the number its newest checkpoint
    covered: a chain that is set back, or taken away whole, shows in the others' statements.
    """

    chain_id: str
    number: int
    digest: str
    is_newest: bool
    previous: int  # number of the checkpoint before it, 0 for the first
    sealed_at: str  # ISO 8601, UTC
    others: dict[str, int]


def seal(statement: Statement) -> Sealed:
    """Sealed under the active pKEK of the audit trail's own project: two PKCS#11 calls.

    Raises:
        Unavailable: no token could serve.
    """
    pkek = keyring.sealing_key(AUDIT_PROJECT)
    context = context_of(statement.chain_id, statement.number)
    return keyring.seal(statement.plaintext(), pkek=pkek, context=context)


def opened(row: AuditCheckpoint) -> Statement | None:
    """What the row says, if the HSM sealed it for this chain and number; None if it did not.

    ``row.pkek`` is loaded with its project and MKEK.

    Raises:
        Unavailable: no token could serve.
    """
    try:
        return Statement.read(keyring.open_sealed(row.sealed, pkek=row.pkek, context=row.seal_context))
    except KeyMaterialError:
        return None


def columns_of(statement: Statement, sealed: Sealed) -> dict[str, object]:
    """The columns that change when a checkpoint is sealed anew."""
    return {
        "number": statement.number,
        "pkek_id": sealed.pkek_id,
        "format": sealed.format,
        "iv": sealed.iv,
        "ciphertext": sealed.ciphertext,
        "size_bytes": sealed.size_bytes,
        "newest_marker": True if statement.is_newest else None,
        "sealed_at": datetime.fromisoformat(statement.sealed_at),
    }
