import time
from collections.abc import Callable

LONGEST_NAP_S = 0.5  # so that an operator's wish is heard while a slow run waits


class Pace:
    """Holds a run to so many rows per second, counted from its start; None lets it go as fast as it can."""

    def __init__(
        self,
        per_second: float | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        nap: Callable[[float], None] = time.sleep,
    ) -> None:
        self._per_second = per_second
        self._clock, self._nap = clock, nap
        self._started = clock()
        self._rows = 0

    def page_size(self, wanted: int) -> int:
        """Pages of a second's worth at most, so that slow runs go evenly."""
        return wanted if self._per_second is None else max(1, min(wanted, int(self._per_second)))

    def keep(self, rows: int, *, go_on: Callable[[], bool]) -> bool:
        """Wait until ``rows`` more are due; whether ``go_on`` said yes all the while."""
        self.count(rows)
        while (left := self.left_s()) > 0:
            self._nap(min(left, LONGEST_NAP_S))
            if not go_on():
                return False
        return True

    def count(self, rows: int) -> None:
        """Note that so many were done."""
        self._rows += rows

    def left_s(self) -> float:
        """How long until more are due; 0 if they are."""
        if self._per_second is None:
            return 0.0
        return max(0.0, self._started + self._rows / self._per_second - self._clock())
