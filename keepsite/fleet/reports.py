"""The layouts of a node's report: short lists of numbers, since every page reads them of all nodes.

Fields are only ever added at the end, so that releases side by side read each other's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from keepsite.fleet.histograms import Counts, grown
from keepsite.fleet.readings import MemberReading, Reading

MINUTE_S = 60
STALE_AFTER_S = 45.0  # a node that has not reported for so long does not do it any more
KEPT_MINUTES = 61  # an hour, and the minute that is under way
KEPT_HSM_MINUTES = 6
Json = Any  # Any: what JSON holds


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestMinute:
    """The requests of one minute, which is counted from the epoch.

    Written as ``[minute, refused, failed, [counts]]``.
    """

    minute: int
    refused: int
    failed: int
    counts: Counts

    @classmethod
    def read(cls, told: Sequence[Json]) -> Self:
        """As it was written."""
        minute, refused, failed, counts = told[:4]
        return cls(minute=minute, refused=refused, failed=failed, counts=tuple(counts))

    def written(self) -> Json:
        """To be stored."""
        return [self.minute, self.refused, self.failed, list(self.counts)]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberMinute:
    """An HSM member's calls of one minute.

    Written as ``[minute, calls, errors, cache hits, cache misses, [counts of payload calls]]``.
    """

    minute: int
    calls: int
    errors: int
    cache_hits: int
    cache_misses: int
    payload_calls: Counts

    @classmethod
    def read(cls, told: Sequence[Json]) -> Self:
        """As it was written."""
        minute, calls, errors, hits, misses, payload_calls = told[:6]
        return cls(
            minute=minute,
            calls=calls,
            errors=errors,
            cache_hits=hits,
            cache_misses=misses,
            payload_calls=tuple(payload_calls),
        )

    def written(self) -> Json:
        """To be stored."""
        numbers = [self.minute, self.calls, self.errors, self.cache_hits, self.cache_misses]
        return [*numbers, list(self.payload_calls)]


def requests_between(before: Reading, after: Reading, *, minute: int) -> RequestMinute:
    """What was answered between two readings, as of one minute."""
    return RequestMinute(
        minute=minute,
        refused=_grown(after.refused, before.refused),
        failed=_grown(after.failed, before.failed),
        counts=grown(after.requests, before.requests),
    )


def calls_between(before: MemberReading, after: MemberReading, *, minute: int) -> MemberMinute:
    """What was asked of a member between two readings, as of one minute."""
    return MemberMinute(
        minute=minute,
        calls=_grown(after.calls, before.calls),
        errors=_grown(sum(after.errors.values()), sum(before.errors.values())),
        cache_hits=_grown(after.cache_hits, before.cache_hits),
        cache_misses=_grown(after.cache_misses, before.cache_misses),
        payload_calls=grown(after.payload_calls, before.payload_calls),
    )


def kept(minutes: list[Json], one: Json, *, minutes_kept: int) -> list[Json]:
    """``minutes``, as written, with ``one`` added to its minute, without those that are too old."""
    minute = one[0]
    if minutes and minutes[-1][0] == minute:
        minutes = [*minutes[:-1], _summed(minutes[-1], one)]
    else:
        minutes = [*minutes, one]
    return [old for old in minutes if old[0] > minute - minutes_kept]


def _summed(old: Json, new: Json) -> Json:
    """Number by number; the first, the minute, is the same in both."""
    return [
        old[0],
        *(
            [was + more for was, more in zip(before, after, strict=True)]
            if isinstance(after, list)
            else before + after
            for before, after in zip(old[1:], new[1:], strict=True)
        ),
    ]


def _grown(after: int, before: int) -> int:
    return after - before if after >= before else after
