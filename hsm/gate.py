import threading
import time


class Gate:
    """Who is inside a member's module: calls enter one by one, a reconnect waits until all have left.

    Open lets everybody in, paused lets them wait, shut turns them away at once.
    """

    def __init__(self) -> None:
        self.in_flight = 0
        self._open = False
        self._paused = False
        self._changed = threading.Condition(threading.Lock())

    def enter(self, wait_s: float) -> bool:
        """Return whether the caller is in; then it must ``leave``."""
        with self._changed:
            if not self._open:
                deadline = time.monotonic() + wait_s
                while self._paused and self._changed.wait(deadline - time.monotonic()):
                    pass
                if not self._open:
                    return False
            self.in_flight += 1
            return True

    def leave(self) -> None:
        """Go out; every ``enter`` that returned true needs one."""
        with self._changed:
            self.in_flight -= 1
            if not self._open and self.in_flight == 0:
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
            return self._changed.wait_for(lambda: self.in_flight == 0, wait_s)

    def _set(self, *, is_open: bool, paused: bool) -> None:
        with self._changed:
            self._open, self._paused = is_open, paused
            self._changed.notify_all()
