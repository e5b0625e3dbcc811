"""What the nodes reported lately, added up: one statement, whatever the number of nodes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hsm.member import State
from keepsite.fleet.histograms import added, percentile_s
from keepsite.fleet.models import NodeReport
from keepsite.fleet.reports import MINUTE_S, STALE_AFTER_S, MemberMinute, RequestMinute
from keepsite.metrics.bounds import CALL_BOUNDS_S, REQUEST_BOUNDS_S

WINDOW_MINUTES = 5  # of "now": the last five whole minutes and the one under way
CHART_MINUTES = 60
STEP_MINUTES = 5  # of latency: in a minute there may be too few requests to say anything of one in a hundred
SHORTEST_S = 5.0  # a rate over less says nothing
WORST_FIRST = (
    State.QUARANTINED,
    State.DOWN,
    State.RECOVERING,
    State.STARTING,
    State.SUSPECT,
    State.UP,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Minute:
    """One minute of requests, over all nodes."""

    at: datetime
    answered: int
    refused: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyStep:
    """How long requests of five minutes took, over all nodes; None of no requests."""

    p50_s: float | None
    p99_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFigures:
    """Requests of the API: ``per_second`` of now, all else of the past hour; None of no requests at all.

    ``minutes`` are 60 and ``steps`` 12, the oldest first.
    """

    minutes: tuple[Minute, ...]
    steps: tuple[LatencyStep, ...]
    total: int
    refused: int
    failed: int
    failed_now: int
    total_now: int
    per_second: float | None
    p50_s: float | None
    p99_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberFigures:
    """An HSM member as all nodes that report see it; rates and latencies are of now.

    ``states`` counts processes.  ``errors``, by the class of their return code, are since the processes
    began.  ``keys`` are session objects: pKEKs that are cached; ``keys_most`` is what the configuration
    may come to, ``objects_allowed`` what it says the token has room for, ``sessions_allowed`` what the
    token itself says.
    """

    name: str
    token: str
    is_standby: bool
    states: Mapping[str, int]
    states_by_node: Mapping[str, Mapping[str, int]]
    calls_per_second: float | None
    errors_now: int
    errors: Mapping[str, int]
    p50_s: float | None
    p99_s: float | None
    cache_hit_percent: float | None
    in_flight: int
    sessions: int
    sessions_allowed: int | None
    keys: int
    keys_most: int | None
    objects_allowed: int | None
    last_canary_at: datetime | None

    @property
    def processes(self) -> int:
        """How many tell of it."""
        return sum(self.states.values())

    @property
    def serving(self) -> int:
        """In how many of them it takes requests."""
        return sum(count for state, count in self.states.items() if State(state).serves)

    @property
    def is_out(self) -> bool:
        """Whether some process had it, and cannot use it now."""
        return self.worst not in {State.UP, State.SUSPECT, State.STARTING}

    @property
    def worst(self) -> State:
        """The state that needs somebody most."""
        return next((state for state in WORST_FIRST if self.states.get(state)), State.STARTING)


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetFigures:
    """All of it: of the nodes in ``reporting``; those in ``silent`` reported within a day, but no more."""

    reporting: tuple[str, ...]
    silent: tuple[str, ...]
    requests: RequestFigures
    members: tuple[MemberFigures, ...]
    queues: Mapping[str, int]


def fleet_figures(now: datetime) -> FleetFigures:
    """As the nodes last told."""
    rows = list(NodeReport.objects.order_by("node"))
    stale = now - timedelta(seconds=STALE_AFTER_S)
    fresh = [row for row in rows if row.told_at >= stale]
    queues: dict[str, int] = {}
    for row in sorted(fresh, key=lambda row: row.told_at):
        queues |= row.queues
    return FleetFigures(
        reporting=tuple(row.node for row in fresh),
        silent=tuple(row.node for row in rows if row.told_at < stale),
        requests=_requests(fresh, now=now),
        members=tuple(_members(fresh)),
        queues=queues,
    )


def _requests(rows: Sequence[NodeReport], *, now: datetime) -> RequestFigures:
    last = int(now.timestamp() // MINUTE_S)
    shown = range(last - CHART_MINUTES + 1, last + 1)
    told = {row.node: [RequestMinute.read(one) for one in row.requests] for row in rows}
    hour = [one for minutes in told.values() for one in minutes if one.minute in shown]
    by_minute: dict[int, list[RequestMinute]] = {minute: [] for minute in shown}
    for one in hour:
        by_minute[one.minute].append(one)
    first = last - WINDOW_MINUTES - 1
    recent = [one for one in hour if one.minute > first]
    counts = added(one.counts for one in hour)
    return RequestFigures(
        minutes=tuple(_minute(minute, ones) for minute, ones in by_minute.items()),
        steps=tuple(
            _step([one for minute in shown[start : start + STEP_MINUTES] for one in by_minute[minute]])
            for start in range(0, CHART_MINUTES, STEP_MINUTES)
        ),
        total=sum(counts),
        refused=sum(one.refused for one in hour),
        failed=sum(one.failed for one in hour),
        failed_now=sum(one.failed for one in recent),
        total_now=sum(sum(one.counts) for one in recent),
        per_second=_rate(
            {
                node: sum(sum(one.counts) for one in minutes if one.minute > first)
                for node, minutes in told.items()
            },
            {row.node: _window_s(row) for row in rows},
        ),
        p50_s=percentile_s(counts, REQUEST_BOUNDS_S, 50),
        p99_s=percentile_s(counts, REQUEST_BOUNDS_S, 99),
    )


def _minute(minute: int, ones: Sequence[RequestMinute]) -> Minute:
    refused, failed = sum(one.refused for one in ones), sum(one.failed for one in ones)
    return Minute(
        at=datetime.fromtimestamp(minute * MINUTE_S, UTC),
        answered=sum(sum(one.counts) for one in ones) - refused - failed,
        refused=refused,
        failed=failed,
    )


def _step(ones: Sequence[RequestMinute]) -> LatencyStep:
    counts = added(one.counts for one in ones)
    return LatencyStep(
        p50_s=percentile_s(counts, REQUEST_BOUNDS_S, 50), p99_s=percentile_s(counts, REQUEST_BOUNDS_S, 99)
    )


def _members(rows: Sequence[NodeReport]) -> list[MemberFigures]:
    names = sorted({name for row in rows for name in row.members})
    return [_member(name, [row for row in rows if name in row.members]) for name in names]


def _member(name: str, rows: Sequence[NodeReport]) -> MemberFigures:
    told: list[Mapping[str, Any]] = [row.members[name] for row in rows]  # Any: JSON
    minutes = {row.node: _recent_calls(row, name) for row in rows}
    recent = [one for ones in minutes.values() for one in ones]
    counts = added(one.payload_calls for one in recent)
    hits, misses = sum(one.cache_hits for one in recent), sum(one.cache_misses for one in recent)
    states: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    for one in told:
        states.update(one["states"])
        errors.update(one["errors"])
    canaries = [one["last_canary_at"] for one in told if one["last_canary_at"]]
    return MemberFigures(
        name=name,
        token=next((one["token"] for one in told if one.get("token")), ""),
        is_standby=any(one.get("weight") == 0 for one in told),
        states=states,
        states_by_node={row.node: row.members[name]["states"] for row in rows},
        calls_per_second=_rate(
            {node: sum(one.calls for one in ones) for node, ones in minutes.items()},
            {row.node: _window_s(row) for row in rows},
        ),
        errors_now=sum(one.errors for one in recent),
        errors=errors,
        p50_s=percentile_s(counts, CALL_BOUNDS_S, 50),
        p99_s=percentile_s(counts, CALL_BOUNDS_S, 99),
        cache_hit_percent=100 * hits / (hits + misses) if hits + misses else None,
        in_flight=sum(one["in_flight"] for one in told),
        sessions=sum(one["sessions"] for one in told),
        sessions_allowed=_least(told, "sessions_allowed"),
        keys=sum(one["keys"] for one in told),
        keys_most=max((one.get("keys_most") or 0 for one in told), default=0) or None,
        objects_allowed=_least(told, "objects_allowed"),
        last_canary_at=datetime.fromtimestamp(min(canaries), UTC) if canaries else None,
    )


def _recent_calls(row: NodeReport, member: str) -> list[MemberMinute]:
    last = int(row.told_at.timestamp() // MINUTE_S)
    told = (MemberMinute.read(one) for one in row.members[member]["minutes"])
    return [one for one in told if one.minute > last - WINDOW_MINUTES - 1]


def _window_s(row: NodeReport) -> float:
    """Seconds that the minutes of "now" cover on a node."""
    told = row.told_at.timestamp()
    return min(WINDOW_MINUTES * MINUTE_S + told % MINUTE_S, told - row.began_at.timestamp())


def _rate(counts: Mapping[str, int], seconds: Mapping[str, float]) -> float | None:
    """Per second, over all nodes that have counted for long enough; None if none has."""
    rates = [count / seconds[node] for node, count in counts.items() if seconds[node] >= SHORTEST_S]
    return sum(rates) if rates else None


def _least(told: Sequence[Mapping[str, Any]], name: str) -> int | None:  # Any: JSON
    return min((one[name] for one in told if one.get(name) is not None), default=None)
