"""Durations as counts per bucket: added up over processes and nodes, and read as percentiles."""

from collections.abc import Iterable, Sequence

Counts = tuple[int, ...]  # one more than there are bounds: the last is of what took longer


def added(counts: Iterable[Sequence[int]]) -> Counts:
    """The sum of counts of the same buckets; empty for none."""
    return tuple(map(sum, zip(*counts, strict=True)))


def grown(after: Sequence[int], before: Sequence[int]) -> Counts:
    """What came since; where a counter began anew, all that it has."""
    if len(before) != len(after) or any(now < then for now, then in zip(after, before, strict=True)):
        return tuple(after)
    return tuple(now - then for now, then in zip(after, before, strict=True))


def percentile_s(counts: Sequence[int], bounds_s: Sequence[float], percent: float) -> float | None:
    """How long ``percent`` of a hundred took at most, in seconds, from within its bucket; None of nothing.

    What took longer than the last bound counts as that.

    Source: Prometheus's histogram_quantile, linear within a bucket.
    """
    total = sum(counts)
    if not total:
        return None
    rank, below, lower = total * percent / 100, 0, 0.0
    for count, upper in zip(counts, bounds_s, strict=False):
        if below + count >= rank and count:
            return lower + (upper - lower) * (rank - below) / count
        below, lower = below + count, upper
    return bounds_s[-1]
