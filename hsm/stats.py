"""What calls took and came to, per member, in this process's memory; it knows no metrics system.

The request path pays one append per call.  Whoever looks, a watch ten times a
second or an operator, folds what was appended into numbers.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from hsm.faults import CallFailed, Kind

P = ParamSpec("P")
T = TypeVar("T")

RECENT = 1024  # calls per verb that percentiles are made of
_AVERAGE_OF = 8  # the moving average forgets half of what it knew after some five calls
_AVERAGE_HOLDS_S = 5.0  # a member that nobody asked for so long may have become quick again
_PAYLOAD_VERBS = frozenset({"encrypt", "decrypt"})
_TWO_CALLS = _PAYLOAD_VERBS  # of the module; every other verb is one


class _Made(threading.local):
    count = 0


_made = _Made()


def calls_made() -> int:
    """Return how many calls this thread has made so far; take the difference around a request.

    Exact for everything on the request path; a search for MKEKs counts as one.
    """
    return _made.count


@dataclass(frozen=True, slots=True)
class Call:
    """One call that ended: what for, how long in seconds, and the kind of its failure, if it failed."""

    verb: str
    seconds: float
    failure: Kind | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VerbStats:
    """A verb's calls of this process; percentiles in seconds, over the last 1,024."""

    calls: int
    failed: int
    p50_s: float
    p99_s: float


@dataclass(slots=True)
class Tally:
    """What one member went through in this process; each number only grows.

    Every field is written under one lock of whoever owns it.
    """

    trips: int = 0
    recoveries: int = 0
    pool_waits: int = 0
    cache_hits: int = 0
    cache_misses: int = 0
    cache_evictions: int = 0


@dataclass(slots=True)
class _Verb:
    calls: int = 0
    failed: int = 0
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))

    def shown(self) -> VerbStats:
        ordered = sorted(self.recent)
        return VerbStats(
            calls=self.calls,
            failed=self.failed,
            p50_s=_percentile(ordered, 50),
            p99_s=_percentile(ordered, 99),
        )


def _percentile(ordered: list[float], percent: int) -> float:
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else 0.0


class Calls:
    """One member's calls: those that ended, and since when each thread is inside one."""

    def __init__(self) -> None:
        self._ended: deque[Call] = deque()
        self._inside: dict[int, float] = {}  # thread: when its call began
        self._verbs: dict[str, _Verb] = {}
        self._failures: Counter[str] = Counter()
        self._folding = threading.Lock()
        self._untold: deque[Call] | None = None  # folded, for a listener, if there is one
        self._average_s = 0.0
        self._averaged_at = 0.0
        self._answered_at = time.monotonic()

    def run(self, verb: str, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what ``work`` returns, timed."""
        thread = threading.get_ident()
        self._inside[thread] = began = time.monotonic()
        failure = None
        made = 1
        try:
            result = work(*args, **kwargs)
            made += verb in _TWO_CALLS
        except CallFailed as failed:
            failure = failed.kind
            made += verb in _TWO_CALLS and not failed.function.endswith("Init")
            raise
        finally:
            ended = time.monotonic()
            self._inside.pop(thread, None)
            self._ended.append(Call(verb, ended - began, failure))
            _made.count += made
        self._answered_at = ended
        if verb in _PAYLOAD_VERBS:  # two threads at once may lose one of the two: it is an average
            self._average_s += (ended - began - self._average_s) / _AVERAGE_OF
            self._averaged_at = ended
        return result

    def oldest_s(self, now: float) -> float:
        """Return for how long the oldest call under way has been running, 0 if none is."""
        return now - min(tuple(self._inside.values()), default=now)

    def silent_s(self, now: float) -> float:
        """Return for how long no call has succeeded."""
        return now - self._answered_at

    def average_s(self, now: float) -> float:
        """Return the moving average of encrypt and decrypt; 0 if none was made lately, so one is tried."""
        return self._average_s if now - self._averaged_at < _AVERAGE_HOLDS_S else 0.0

    def keep_for_listener(self, *, keep: bool) -> None:
        """Keep calls that ended until ``take_untold``, or no longer."""
        with self._folding:
            self._untold = deque() if keep else None

    def take_untold(self) -> list[Call]:
        """Fold, and return the calls that ended since the last time; none unless they are kept."""
        self.fold()
        with self._folding:
            untold, self._untold = self._untold, None if self._untold is None else deque()
        return list(untold or ())

    def fold(self) -> None:
        """Count what ended since the last time."""
        with self._folding:
            ended = [self._ended.popleft() for _ in range(len(self._ended))]
            if self._untold is not None:
                self._untold.extend(ended)
            for call in ended:
                verb = self._verbs.setdefault(call.verb, _Verb())
                verb.calls += 1
                verb.recent.append(call.seconds)
                if call.failure is not None:
                    verb.failed += 1
                    self._failures[call.failure.name.lower()] += 1

    def verbs(self) -> dict[str, VerbStats]:
        """Return the folded numbers per verb."""
        with self._folding:
            return {name: verb.shown() for name, verb in sorted(self._verbs.items())}

    def failures(self) -> dict[str, int]:
        """Return the folded failures per kind."""
        with self._folding:
            return dict(self._failures)
