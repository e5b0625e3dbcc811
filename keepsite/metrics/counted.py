"""Figures that only the database knows: counted beside the scrapes, so that none waits for it.

A scrape that finds them old has them counted anew by a thread, and answers with what
was counted before; a database that is away makes them old and no scrape slow.
"""

import threading
import time
from collections.abc import Callable

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from prometheus_client import Gauge

from keepsite.metrics.registry import REGISTRY

log = structlog.get_logger(__name__)

COUNTED_AT = Gauge(
    "keepsite_counted_timestamp_seconds",
    "When the figures that the database knows were counted last, in seconds since the epoch.",
    registry=REGISTRY,
    multiprocess_mode="livemostrecent",
)

_counts: list[Callable[[], None]] = []
_lock = threading.Lock()
_next_at = 0.0  # by the monotonic clock


def register(count: Callable[[], None]) -> None:
    """Have ``count`` called whenever figures are due; it sets gauges, a statement or so for each."""
    _counts.append(count)


def count_all() -> None:
    """Count everything now.

    Raises:
        DatabaseError, InterfaceError: the database is away; gauges keep what they had.
    """
    for count in _counts:
        count()
    COUNTED_AT.set(time.time())


def count_if_due() -> threading.Thread | None:
    """Begin to count anew if KEEPSITE_METRICS_COUNT_EVERY_S has passed; the thread that does, if one does."""
    global _next_at  # noqa: PLW0603  # one clock for all threads of the process
    every_s = settings.METRICS_COUNT_EVERY_S
    with _lock:
        if not every_s or time.monotonic() < _next_at:
            return None
        _next_at = time.monotonic() + every_s
    thread = threading.Thread(target=_count, name="metrics-counted", daemon=True)
    thread.start()
    return thread


def _count() -> None:
    try:
        count_all()
    except (DatabaseError, InterfaceError) as error:
        log.warning("metrics.not_counted", error=type(error).__name__)
    finally:
        connection.close()
