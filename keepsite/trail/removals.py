"""What the HSM seals of a removal by the retention, so that no other deletion passes for one."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F, Q, QuerySet

from keepsite.errors import KeyMaterialError
from keepsite.keyring import services as keyring
from keepsite.keyring.sealed import Sealed
from keepsite.trail.models import AUDIT_PROJECT, AuditChain, AuditRemoval, removal_context_of
from keepsite.trail.statements import SealedStatement

MIN_DAYS = 30  # no retention is shorter: so long, at least, everybody can look


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal(SealedStatement):
    """How far a chain was removed, by which retention; fields are only ever added.

    ``digest`` is that of segment ``number``, which the next one follows, and which the
    checkpoint there says too.  ``file`` and ``end`` are where that segment ended.
    """

    chain_id: str
    number: int
    digest: str
    file: str
    end: int  # bytes
    days: int
    removed_at: str  # ISO 8601, UTC
    sealed_until: int  # number of the chain's newest checkpoint at that moment
    records: int  # copies removed since the chain began

    @property
    def moment(self) -> datetime:
        """When it was removed."""
        return datetime.fromisoformat(self.removed_at)

    @property
    def limit(self) -> datetime:
        """What was sealed before it, and nothing else, may have gone."""
        return self.moment - timedelta(days=self.days)


def seal(removal: Removal) -> Sealed:
    """Sealed under the active pKEK of the audit trail's own project: two PKCS#11 calls.

    Raises:
        Unavailable: no token could serve.
    """
    pkek = keyring.sealing_key(AUDIT_PROJECT)
    context = removal_context_of(removal.chain_id, removal.number)
    return keyring.seal(removal.plaintext(), pkek=pkek, context=context)


def row_of(chain: AuditChain) -> AuditRemoval | None:
    """The chain's removal, with what opening it needs."""
    rows = AuditRemoval.objects.filter(chain=chain)
    return rows.select_related("pkek__project", "pkek__mkek").first()


def opened(row: AuditRemoval) -> Removal | None:
    """What the row says, if the HSM sealed it for this chain and number; None if it did not.

    Raises:
        Unavailable: no token could serve.
    """
    try:
        return Removal.read(keyring.open_sealed(row.sealed, pkek=row.pkek, context=row.seal_context))
    except KeyMaterialError:
        return None


def removal_of(chain: AuditChain) -> Removal | None:
    """What the retention removed of the chain, as far as this HSM sealed it; None if nothing.

    Raises:
        Unavailable: no token could serve.
    """
    row = row_of(chain)
    return opened(row) if row else None


def unfinished(*, before: datetime) -> QuerySet[AuditChain]:
    """Chains of which a removal was sealed before that moment, and has not come to its end."""
    is_under_way = Q(removal__gone_until=None) | Q(removal__gone_until__lt=F("removal__number"))
    return AuditChain.objects.filter(is_under_way, removal__removed_at__lt=before)


def columns_of(removal: Removal, sealed: Sealed) -> dict[str, object]:
    """The columns that change with each removal."""
    return {
        "number": removal.number,
        "removed_at": removal.moment,
        "days": removal.days,
        "pkek_id": sealed.pkek_id,
        "format": sealed.format,
        "iv": sealed.iv,
        "ciphertext": sealed.ciphertext,
        "size_bytes": sealed.size_bytes,
    }
