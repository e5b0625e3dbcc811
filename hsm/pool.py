import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hsm.budget import within_budget
from hsm.errors import PoolExhausted
from hsm.faults import CKR_SESSION_COUNT, CallFailed, Kind
from hsm.stats import Tally


class SessionPool:
    """Sessions without a PIN, opened when first needed, handed out last in first out.

    ``size`` bounds them, ``wait_s`` the wait for one.  A session that saw anything
    but success or a pure data error is closed, since an operation may still be
    active in it.  ``keeps`` marks a pool whose sessions own objects: they are
    never closed, whatever the call said.  ``tally`` counts the waits.
    """

    def __init__(
        self,
        *,
        size: int,
        wait_s: float,
        open_session: Callable[[], int],
        close_session: Callable[[int], object],
        keeps: bool = False,
        tally: Tally | None = None,
    ) -> None:
        self.size = size
        self.open_count = 0
        self._wait_s = wait_s
        self._open_session, self._close_session = open_session, close_session
        self._keeps = keeps
        self._tally = tally or Tally()
        self._idle: list[int] = []
        self._changed = threading.Condition(threading.Lock())

    @property
    def idle_count(self) -> int:
        """Sessions that wait for work."""
        return len(self._idle)

    def take(self) -> int:
        """Borrow a session; end with ``give`` or ``retire``.

        Raises:
            PoolExhausted: none came free within the wait.
            CallFailed: a new session could not be opened.
        """
        with self._changed:
            if self._idle:
                return self._idle.pop()
            deadline = time.monotonic() + within_budget(self._wait_s)
            self._tally.pool_waits += self.open_count >= self.size
            while not self._idle:
                if self.open_count < self.size:
                    self.open_count += 1
                    break
                if not self._changed.wait(deadline - time.monotonic()) and not self._idle:
                    raise PoolExhausted(f"no HSM session came free within {self._wait_s:g} s")
            else:
                return self._idle.pop()
        return self._open(deadline)

    def _open(self, deadline: float) -> int:
        try:
            return self._open_session()
        except BaseException as error:
            with self._changed:
                self.open_count -= 1
                full = isinstance(error, CallFailed) and error.rv == CKR_SESSION_COUNT and self.open_count > 0
                if full:  # the token allows fewer than we were told
                    self.size = self.open_count
                self._changed.notify()
            if not full or time.monotonic() >= deadline:
                raise
        return self.take()

    def adopt(self, session: int) -> None:
        """Take in a session opened elsewhere."""
        with self._changed:
            self.open_count += 1
        self.give(session)

    def give(self, session: int) -> None:
        """Return a session after success."""
        with self._changed:
            self._idle.append(session)
            self._changed.notify()

    def retire(self, session: int, error: BaseException) -> None:
        """Return a session after ``error``: closed, unless the error was the data's."""
        harmless = isinstance(error, CallFailed) and error.kind is Kind.DATA
        if self._keeps or harmless:
            self.give(session)
            return
        if not (isinstance(error, CallFailed) and error.kind is Kind.MEMBER):  # a token that is away may hang
            self._close_session(session)  # its answer changes nothing: the session is gone for us
        with self._changed:
            self.open_count -= 1
            self._changed.notify()

    @contextmanager
    def session(self) -> Iterator[int]:
        """Lend a session for the block."""
        session = self.take()
        try:
            yield session
        except BaseException as error:
            self.retire(session, error)
            raise
        self.give(session)
