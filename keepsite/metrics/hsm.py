"""What the HSM's members do, as metrics: fed once a second from the HSM's own numbers.

Nothing here is on the request path.
"""

import dataclasses
import threading

from prometheus_client import Counter, Gauge, Histogram

from hsm.member import MemberStatus, State
from hsm.stats import Call, Tally
from keepsite.metrics.bounds import CALL_BOUNDS_S
from keepsite.metrics.registry import REGISTRY

CALL_SECONDS = Histogram(
    "keepsite_hsm_call_seconds",
    "How long calls to an HSM member took; encrypt and decrypt are two PKCS#11 calls, other verbs one.",
    ["member", "verb"],
    buckets=CALL_BOUNDS_S,
    registry=REGISTRY,
)
CALL_ERRORS = Counter(
    "keepsite_hsm_call_errors",
    "Calls to an HSM member that failed, by the class of their return code.",
    ["member", "verb", "kind"],
    registry=REGISTRY,
)
MEMBER_STATE = Gauge(
    "keepsite_hsm_member_processes",
    "Processes of this node that see an HSM member in a state.",
    ["member", "state"],
    registry=REGISTRY,
    multiprocess_mode="livesum",
)
LAST_CANARY = Gauge(
    "keepsite_hsm_last_canary_timestamp_seconds",
    "When an HSM member last opened its canaries, in the process where that is longest ago; in seconds.",
    ["member"],
    registry=REGISTRY,
    multiprocess_mode="livemin",
)
_GAUGES = {
    field: Gauge(f"keepsite_hsm_{field}", text, ["member"], registry=REGISTRY, multiprocess_mode="livesum")
    for field, text in (
        ("in_flight", "Requests inside an HSM member now."),
        ("sessions_open", "Sessions open on an HSM member."),
        ("cached_keys", "pKEK handles cached on an HSM member."),
        ("waiting_destroys", "Evicted pKEKs that are still on an HSM member."),
    )
}
_TALLY = {
    "trips": "Times that an HSM member was taken out of service.",
    "recoveries": "Times that an HSM member came back after a probe.",
    "pool_waits": "Requests that waited for a session.",
    "cache_hits": "Uses of a pKEK whose handle was cached.",
    "cache_misses": "Uses of a pKEK that had to be unwrapped first.",
    "cache_evictions": "pKEK handles dropped to make room.",
}
_COUNTERS = {
    field: Counter(f"keepsite_hsm_{field}", text, ["member"], registry=REGISTRY)
    for field, text in _TALLY.items()
}


class HSMMetrics:
    """A listener of ``HSM.listen``: adds what each report has that the one before had not."""

    def __init__(self) -> None:
        self._told: dict[str, Tally] = {}
        self._lock = threading.Lock()

    def __call__(self, status: MemberStatus, ended: list[Call]) -> None:
        """Take in a member's report."""
        for call in ended:
            CALL_SECONDS.labels(status.name, call.verb).observe(call.seconds)
            if call.failure is not None:
                CALL_ERRORS.labels(status.name, call.verb, call.failure.name.lower()).inc()
        with self._lock:
            before, self._told[status.name] = self._told.get(status.name, Tally()), status.tally
        for field in dataclasses.fields(Tally):
            grown = getattr(status.tally, field.name) - getattr(before, field.name)
            _COUNTERS[field.name].labels(status.name).inc(max(grown, 0))
        for name, gauge in _GAUGES.items():
            gauge.labels(status.name).set(getattr(status, name))
        for state in State:
            MEMBER_STATE.labels(status.name, state.value).set(status.state is state)
        if status.last_canary_at is not None:
            LAST_CANARY.labels(status.name).set(status.last_canary_at.timestamp())
