"""What the links of an audit chain are computed from.

Stored for ever: a new layout needs a new domain string.
"""

import hashlib
from datetime import UTC

from keepsite.keyring.canonical import canonical_bytes
from keepsite.trail.models import HEX_CHARS, AuditSegment

BEGINNING = "0" * HEX_CHARS  # what the first segment of a chain follows
_DOMAIN = "keepsite:audit-segment:v1"


def line_hash(line: str) -> bytes:
    """SHA-256 of a copied line."""
    return hashlib.sha256(line.encode()).digest()


def segment_digest(segment: AuditSegment) -> str:
    """The digest that a segment must have, as hex digits: over all its columns but its id and the digest."""
    parts = (
        segment.chain_id,
        str(segment.number),
        segment.previous_digest,
        segment.file,
        str(segment.start),
        str(segment.end),
        str(segment.lines),
        segment.bytes_digest,
        bytes(segment.row_hashes).hex(),
        segment.collected_at.astimezone(UTC).isoformat(timespec="microseconds"),
    )
    return hashlib.sha256(canonical_bytes(_DOMAIN, *parts)).hexdigest()
