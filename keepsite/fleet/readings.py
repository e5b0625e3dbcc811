"""What one look at a node's metrics finds.

It imports no metrics library, as nothing does that every process imports at its start: the library looks at
the environment when it is first imported, and ``metrics.files.share`` must have run before.
"""

from dataclasses import dataclass, field

from keepsite.fleet.histograms import Counts
from keepsite.metrics.bounds import CALL_BOUNDS_S, REQUEST_BOUNDS_S

_NO_CALLS: Counts = (0,) * (len(CALL_BOUNDS_S) + 1)
_NO_REQUESTS: Counts = (0,) * (len(REQUEST_BOUNDS_S) + 1)


@dataclass(slots=True, kw_only=True)
class MemberReading:
    """An HSM member, over all processes of this node; counters are since the processes began.

    ``payload_calls`` are encrypt and decrypt, per bucket of ``keepsite.metrics.bounds.CALL_BOUNDS_S``.
    """

    calls: int = 0
    payload_calls: Counts = _NO_CALLS
    errors: dict[str, int] = field(default_factory=dict)  # by the class of their return code
    cache_hits: int = 0
    cache_misses: int = 0
    states: dict[str, int] = field(default_factory=dict)  # how many processes see it so
    in_flight: int = 0
    sessions: int = 0
    keys: int = 0
    last_canary_at: float | None = None  # seconds since the epoch; of the process where it is longest ago


@dataclass(slots=True, kw_only=True)
class Reading:
    """A node; ``requests`` per bucket of ``keepsite.metrics.bounds.REQUEST_BOUNDS_S``."""

    requests: Counts = _NO_REQUESTS
    refused: int = 0
    failed: int = 0
    members: dict[str, MemberReading] = field(default_factory=dict)
    queues: dict[str, int] = field(default_factory=dict)
