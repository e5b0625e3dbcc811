"""The time that one request may spend waiting in the HSM, for whatever and on however many members."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class _Budget(threading.local):
    ends_at: float | None = None


_budget = _Budget()


@contextmanager
def budget(seconds: float) -> Iterator[float]:
    """Bound every wait of this thread within the block; gives the moment, on the monotonic clock, it ends."""
    _budget.ends_at = ends_at = time.monotonic() + seconds
    try:
        yield ends_at
    finally:
        _budget.ends_at = None


def within_budget(wait_s: float) -> float:
    """Return how long this thread may wait: ``wait_s``, or what is left of its budget."""
    ends_at = _budget.ends_at
    return wait_s if ends_at is None else max(0.0, min(wait_s, ends_at - time.monotonic()))
