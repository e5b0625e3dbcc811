import threading
import time

from hsm.budget import within_budget


class Gate:
    """Who is inside a member's module: calls enter one by one, a reconnect waits until all have left.

    Open lets everybody in, paused lets them wait, shut turns them away at once.
    """

    def __init__(self) -> None:
        self._inside: dict[int, float] = {}  # thread: when it entered
        self._open = False
        self._paused = False
        self._changed = threading.Condition(threading.Lock())

    @property
    def in_flight(self) -> int:
        """How many are inside."""
        return len(self._inside)

    def inside_longer_than(self, seconds: float) -> int:
        """Return how many have been inside for longer; a call that hangs keeps its thread here."""
        since = time.monotonic() - seconds
        return sum(entered < since for entered in tuple(self._inside.values()))

    def enter(self, wait_s: float) -> bool:
        """Return whether the calling thread is in; then it must ``leave``, and not enter again before."""
        with self._changed:
            if not self._open:
                deadline = time.monotonic() + within_budget(wait_s)
                while self._paused and self._changed.wait(deadline - time.monotonic()):
                    pass
                if not self._open:
                    return False
            self._inside[threading.get_ident()] = time.monotonic()
            return True

    def leave(self) -> None:
        """Go out; every ``enter`` that returned true needs one."""
        with self._changed:
            del self._inside[threading.get_ident()]
            if not self._open and not self._inside:
                self._changed.notify_all()

    def open(self) -> None:
        """Let calls in."""
        self._set(is_open=True, paused=False)

    def pause(self) -> None:
        """Let calls wait at the gate until ``open`` or ``shut``."""
        self._set(is_open=False, paused=True)

    def shut(self) -> None:
        """Turn calls away."""
        self._set(is_open=False, paused=False)

    def wait_until_empty(self, wait_s: float) -> bool:
        """Return whether everybody left in time; open gates never empty."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._inside, wait_s)

    def _set(self, *, is_open: bool, paused: bool) -> None:
        with self._changed:
            self._open, self._paused = is_open, paused
            self._changed.notify_all()
