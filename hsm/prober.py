import random
import threading
import time
from collections.abc import Callable, Hashable
from typing import Protocol

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 15.0
_JITTER = 0.2  # of a pause, so that many processes do not knock at once
_STUCK_S = 2.0  # a probe that takes longer no longer keeps the others waiting


class Probed(Protocol):
    """What is probed: ``probe`` returns whether nothing is left to do."""

    retry_after_s: float

    def probe(self) -> bool:
        """See how it is, or try to bring it back."""


class Prober:
    """The one thread of a process that probes: after 0.5 s, then ever more seldom until all is done.

    A probe that hangs in its module keeps its thread; another thread goes on with
    the other members then.
    """

    def __init__(self) -> None:
        self._due: dict[Hashable, tuple[float, float, Probed]] = {}  # when, the pause before, whom
        self._probing: dict[Hashable, float] = {}  # since when
        self._again: set[Hashable] = set()  # went down while being probed
        self._changed = threading.Condition(threading.Lock())
        self._thread: threading.Thread | None = None
        self._closed = False

    def want(self, member: Probed) -> None:
        """Have a member probed until it recovers; once more is no different."""
        with self._changed:
            if id(member) in self._probing:
                self._again.add(id(member))
                return
            if self._closed or id(member) in self._due:
                return
            self._plan(member, FIRST_PAUSE_S)
            if self._thread is None:
                self._start()
            self._changed.notify_all()

    def look_after(self) -> None:
        """Start another thread if the probe under way hangs or the thread is gone; called now and then."""
        with self._changed:
            if self._closed or not self._due or self._thread is None:
                return
            stuck = any(time.monotonic() - since > _STUCK_S for since in self._probing.values())
            if stuck or not self._thread.is_alive():
                self._start()

    def close(self) -> None:
        """Probe nobody any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="hsm-prober", daemon=True)
        self._thread.start()

    def _plan(self, member: Probed, pause_s: float) -> None:
        member.retry_after_s = pause_s
        spread = random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311  # spreads load, guards nothing
        self._due[id(member)] = (time.monotonic() + pause_s * spread, pause_s, member)

    def _run(self) -> None:
        me = threading.current_thread()
        while True:
            with self._changed:
                taken = self._wait_for_next(lambda: self._closed or self._thread is not me)
                if taken is None:
                    return
                member, pause_s = taken
                self._probing[id(member)] = time.monotonic()
            recovered = False
            try:
                recovered = member.probe()
            finally:
                with self._changed:
                    del self._probing[id(member)]
                    if not recovered:
                        self._plan(member, min(pause_s * 2, LONGEST_PAUSE_S))
                    elif id(member) in self._again:
                        self._plan(member, FIRST_PAUSE_S)
                    self._again.discard(id(member))
                    self._changed.notify_all()

    def _wait_for_next(self, is_over: Callable[[], bool]) -> tuple[Probed, float] | None:
        while not is_over():
            if not self._due:
                self._changed.wait()
                continue
            key, (when, pause_s, member) = min(self._due.items(), key=lambda item: item[1][0])
            wait_s = when - time.monotonic()
            if wait_s <= 0:
                del self._due[key]
                return member, pause_s
            self._changed.wait(wait_s)
        return None
