import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")

_MOST_WAITING = 64  # beyond it whoever brings more does it alone, or the token would fill up
_IDLE_S = 5.0  # after which the thread ends


class Sweeper(Generic[T]):
    """Does small jobs one by one beside the requests, in a thread that lives while there is work."""

    def __init__(self, work: Callable[[T], None], *, name: str) -> None:
        self._work, self._name = work, name
        self._waiting: deque[T] = deque()
        self._changed = threading.Condition(threading.Lock())
        self._runs = False

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, jobs: Iterable[T]) -> bool:
        """Take jobs over; false if too much is waiting already."""
        with self._changed:
            if len(self._waiting) >= _MOST_WAITING:
                return False
            self._waiting.extend(jobs)
            if not self._runs:
                self._runs = True
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
            self._changed.notify()
            return True

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._changed.wait_for(lambda: self._waiting, _IDLE_S):
                    self._runs = False
                    return
                job = self._waiting.popleft()
            self._work(job)
