import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import NoReturn, TypeVar

from hsm.config import HSMConfig, MemberConfig, Pin
from hsm.connection import Connection
from hsm.errors import (
    CallRefused,
    CanaryMismatch,
    ConfigInvalid,
    ForkedHSM,
    HSMError,
    IntegrityFailed,
    KeyNotFound,
    LoginRefused,
    MechanismUnsupported,
    MemberUnavailable,
    MKEKNotFound,
    PoolExhausted,
    SessionLost,
    TokenNotFound,
)
from hsm.faults import CallFailed, Kind
from hsm.footprint import beyond_limits, beyond_memory
from hsm.gate import Gate
from hsm.keys import WrappedKey
from hsm.library import Library, open_library
from hsm.native import TokenLimits
from hsm.stats import Calls, Tally, VerbStats

logger = logging.getLogger(__name__)
T = TypeVar("T")

_UNEXPLAINED, _UNEXPLAINED_WINDOW_S = 3, 10.0  # failures before a member is taken for broken
_TRIPS, _TRIP_WINDOW_S = 3, 300.0  # before a member that recovered is no longer trusted
_CHANGES_IN_S = 0.05  # a state, unless there is a login or a probe with it
_HISTORY = 50  # state changes remembered
_FOR_A_HUMAN = (LoginRefused, MechanismUnsupported, MKEKNotFound, CanaryMismatch, ConfigInvalid, ForkedHSM)


class State(StrEnum):
    """Where a member stands; only UP and SUSPECT serve, and only a human leads out of QUARANTINED.

    SUSPECT: a call takes too long, or it, or its login, was lost three times in five minutes;
    it is asked only if no other member is UP.
    """

    STARTING = "starting"
    UP = "up"
    SUSPECT = "suspect"
    DOWN = "down"
    RECOVERING = "recovering"
    QUARANTINED = "quarantined"

    @property
    def serves(self) -> bool:
        """Whether requests may go there."""
        return self in {State.UP, State.SUSPECT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A member entered ``state`` at this moment; ``reason`` is a sentence for operators, or empty."""

    at: datetime
    state: State
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberStatus:
    """One member as this process sees it at this moment, for operators; no secrets.

    ``last_error`` is the class name of what last took it out of service, or empty.
    ``history`` holds the last 50 changes of state, oldest first; ``last_canary_at``
    is when it last opened its canaries.  ``tally``, ``verbs`` and ``failures`` (by
    kind) count since the process started.
    """

    name: str
    state: State
    weight: int
    module: str
    token_label: str
    token_serial: str
    in_flight: int
    oldest_call_s: float
    pool_size: int
    sessions_open: int
    sessions_idle: int
    cached_keys: int
    failed_destroys: int
    waiting_destroys: int
    last_error: str
    last_canary_at: datetime | None
    retry_after_s: float
    limits: TokenLimits | None
    tally: Tally
    verbs: dict[str, VerbStats]
    failures: dict[str, int]
    history: tuple[Change, ...]


class Member:
    """One token's life: start, serve, react to each kind of fault, go down, recover.

    A request enters through the gate, works on the current ``Connection`` and
    leaves; a reconnect waits until nobody is inside and then puts a new
    connection in its place.  ``on_down`` is told when a probe is wanted.
    """

    def __init__(
        self, config: MemberConfig, shared: HSMConfig, *, on_down: Callable[["Member"], None]
    ) -> None:
        self.config = config
        self.state = State.STARTING
        self.history: deque[Change] = deque(maxlen=_HISTORY)
        self.calls, self.tally = Calls(), Tally()
        self.error: HSMError | None = None  # why it does not serve
        self.retry_after_s = 1.0
        self.gate = Gate()
        self._shared = shared
        self._on_down = on_down
        self._canaries: dict[str, WrappedKey] = {}
        self._connection: Connection | None = None
        self._library: Library | None = None
        self._slot: int | None = None  # of the last connection, in that generation of the module
        self._generation = 0
        self._last_canary_at: datetime | None = None
        self._fits_profile = False
        self._changing = threading.RLock()  # one state change at a time
        self._unexplained: deque[float] = deque(maxlen=_UNEXPLAINED)
        self._trips: deque[float] = deque(maxlen=_TRIPS)  # when the token, or the login, was lost
        self._user = f"{config.name}@{id(self):x}"

    # What the group asks.

    def start(self) -> None:
        """Log in and prove the canaries; the state tells what came of it, ``error`` why."""
        with self._changing:
            self._try_to_connect()

    def prove(self, canary: WrappedKey) -> None:
        """Have a member that serves open a canary that it has not opened yet.

        Raises:
            CanaryMismatch, MKEKNotFound: it does not; it goes on as before.
            MemberUnavailable: it does not serve, or not any more.
        """
        if canary.key_id not in self._canaries:
            self.serve(partial(Connection.prove, key=canary))
            self._last_canary_at = _now()
            self.serve(partial(Connection.tell_unenforced, key=canary))

    def remember(self, canary: WrappedKey) -> None:
        """Demand this canary too whenever the member connects."""
        self._canaries[canary.key_id] = canary

    def quarantine(self, error: HSMError) -> None:
        """Take the member out of service until ``look_again`` or a restart: only a human can mend it."""
        with self._changing:
            self.gate.shut()
            self._enter(State.QUARANTINED, error)
            logger.critical("%s: quarantined until it is released: %s", self.config.name, error)

    def look_again(self, pin: Pin | None = None) -> None:
        """Have a quarantined member probed as if it were down; no other is touched.

        A PIN that the token refused is not tried again: ``pin`` is the corrected one, if it was that.
        """
        with self._changing:
            if self.state is not State.QUARANTINED:
                return
            if pin is not None:
                self.config = replace(self.config, pin=pin)
            self._go_down(MemberUnavailable(f"{self.config.name}: an operator had it looked at again"))

    def serve(self, work: Callable[[Connection], T], *, once: bool = False) -> T:
        """Run ``work`` on the current connection, and again, once per kind of fault, unless ``once``.

        Raises:
            MemberUnavailable: the member is out, or went out under this request.
            IntegrityFailed: stored bytes do not open, and the token proved to be well.
            SessionLost, PoolExhausted, KeyNotFound, CallRefused, MechanismUnsupported: as they say.
        """
        repeated = set(Kind) if once else set()
        while True:
            if not self.gate.enter(self._shared.patience_s):
                raise self._unavailable()
            connection = self._current()
            try:
                return work(connection)
            except (CallFailed, MKEKNotFound) as error:
                fault = error
            finally:
                self.gate.leave()
            if isinstance(fault, MKEKNotFound):
                self._quarantine_if_expected(connection, fault)
                raise fault
            self._react(connection, fault, repeated)

    def forget(self, key_id: str) -> None:
        """Drop a cached handle; a member that is out, or goes out now, has none."""
        if self.state.serves:
            with suppress(MemberUnavailable):
                self.serve(lambda connection: connection.handles.forget(key_id))

    def watch(self) -> None:
        """Turn SUSPECT while a call hangs or after too many trips, else UP; called ten times a second."""
        now = time.monotonic()
        if not self.state.serves:
            return
        doubt = self._doubt(now)
        if (self.state is State.SUSPECT) == (doubt is not None) or not self._changing.acquire(blocking=False):
            return
        try:
            if self.state.serves:
                self._enter(State.SUSPECT if doubt else State.UP, doubt)
                logger.warning("%s: %s %s", self.config.name, self.state, doubt or "")
        finally:
            self._changing.release()

    def is_forgotten(self) -> bool:
        """Whether it serves and nobody has had an answer of it for the time between two heartbeats."""
        return self.state.serves and self.calls.silent_s(time.monotonic()) > self._shared.heartbeat_s

    def probe(self) -> bool:
        """Recover a member that is DOWN, or ask one that is forgotten; return whether nothing is left to do.

        Asking costs 2 calls.  Without it a process without requests would learn of a
        death only from its next request, and take a member for a way out that is none.
        """
        if self.is_forgotten():
            self._ask()
            return True
        with self._changing:
            if self.state is not State.DOWN:
                return True
            if not self.gate.wait_until_empty(self._shared.patience_s):
                return False  # a call hangs in the module: it must not be finalised now
            self._enter(State.RECOVERING, self.error)
            self._reset_module()
            self._try_to_connect()
            if self.state.serves:
                self.tally.recoveries += 1
            return self.state is not State.DOWN

    def _ask(self) -> None:
        """Open a canary as a request would, so that a fault is met with the same reaction."""
        canary = next(iter(self._canaries.values()), None)
        try:
            if canary is None:
                self.serve(Connection.exercise)
            else:
                self.serve(partial(Connection.open_canary, key=canary))
        except HSMError as error:
            logger.warning("%s: does not answer while nobody asks it: %s", self.config.name, error)

    def close(self) -> None:
        """Log out and release the module once nobody is inside."""
        if not self._changing.acquire(timeout=self._shared.wait_s):
            raise MemberUnavailable(f"{self.config.name}: a login or a probe is still under way")
        try:
            self.gate.shut()
            if not self.gate.wait_until_empty(self._shared.wait_s):
                raise MemberUnavailable(f"{self.config.name}: calls are still in flight")
            self._log_out()
            self._enter(State.STARTING, None)
        finally:
            self._changing.release()

    def _log_out(self) -> None:
        connection, library = self._connection, self._library
        self._connection, self._library = None, None
        try:
            if connection is not None:
                connection.close()
            if library is not None:
                library.detach(self._user)
        except CallFailed as failed:  # a token that is away has forgotten us anyway
            logger.warning("%s: %s", self.config.name, failed)

    def status(self) -> MemberStatus:
        """Return how the member stands, from memory."""
        connection = self._connection
        self.calls.fold()
        return MemberStatus(
            name=self.config.name,
            state=self.state,
            weight=self.config.weight,
            module=str(self.config.module),
            token_label=connection.token.label if connection else self.config.token_label or "",
            token_serial=connection.token.serial.decode(errors="replace")
            if connection
            else self.config.token_serial or "",
            in_flight=self.gate.in_flight,
            oldest_call_s=self.calls.oldest_s(time.monotonic()),
            pool_size=connection.pool.size if connection else self._shared.pool_size,
            sessions_open=connection.pool.open_count + connection.keepers.open_count if connection else 0,
            sessions_idle=connection.pool.idle_count if connection else 0,
            cached_keys=len(connection.handles) if connection else 0,
            failed_destroys=connection.handles.failed_destroys if connection else 0,
            waiting_destroys=connection.handles.waiting_destroys if connection else 0,
            last_error=type(self.error).__name__ if self.error else "",
            last_canary_at=self._last_canary_at,
            retry_after_s=self.retry_after_s,
            limits=connection.limits if connection else None,
            tally=replace(self.tally),
            verbs=self.calls.verbs(),
            failures=self.calls.failures(),
            history=tuple(self.history),
        )

    # Reactions: return to repeat the request, raise to end it.

    def _react(self, connection: Connection, fault: CallFailed, repeated: set[Kind]) -> None:
        kind = fault.kind
        ended = _END_OF_KIND.get(kind)
        if kind is Kind.LOGIN and kind in repeated:  # or every request would log in again
            self._trip(connection, fault)
            raise self._unavailable() from fault
        if ended is not None and kind in repeated:
            raise ended(f"{self.config.name}: {fault}, and it is not repeated again") from fault
        repeated.add(kind)
        match kind:
            case Kind.HANDLE | Kind.MKEK_HANDLE:
                return  # forgotten where it happened
            case Kind.SESSION | Kind.LOGIN:
                if kind is Kind.LOGIN or not self._owner_is_alive(connection):
                    self._reconnect(connection)
            case Kind.RESOURCE:
                connection.handles.shrink()
            case Kind.AMBIGUOUS:
                self._judge(connection, fault)
            case _:
                self._end(connection, fault)

    def _end(self, connection: Connection, fault: CallFailed) -> NoReturn:
        """Raise what a fault means that no repeat can mend."""
        if fault.kind is Kind.DATA:
            raise IntegrityFailed(f"{self.config.name}: stored data does not open ({fault})") from fault
        if fault.kind is Kind.PROGRAMMING:
            refused = MechanismUnsupported if fault.says_mechanism else CallRefused
            raise refused(f"{self.config.name}: {fault}: profile or code is wrong") from fault
        if fault.kind is Kind.CREDENTIALS:
            self.quarantine(
                LoginRefused(f"{self.config.name}: the token no longer takes our login ({fault})")
            )
        else:
            self._trip(connection, fault)
        raise self._unavailable() from fault

    def _owner_is_alive(self, connection: Connection) -> bool:
        with self._inside():
            return connection is self._connection and connection.is_alive()

    def _judge(self, connection: Connection, fault: CallFailed) -> NoReturn:
        """Ask a canary whether token or data is at fault: SoftHSM calls a bad tag CKR_GENERAL_ERROR too."""
        if not fault.reads_stored_data:
            self._unexplained.append(time.monotonic())
            if (
                len(self._unexplained) == _UNEXPLAINED
                and self._unexplained[-1] - self._unexplained[0] < _UNEXPLAINED_WINDOW_S
            ):
                self._trip(connection, fault)
            raise MemberUnavailable(f"{self.config.name}: {fault}") from fault
        canary = next(iter(self._canaries.values()), None)
        try:
            with self._inside():
                if canary is None:
                    connection.exercise()
                else:
                    connection.prove(canary)
        except CallFailed as worse:
            self._trip(connection, worse)
            raise self._unavailable() from worse
        except (CanaryMismatch, MKEKNotFound) as mismatch:
            self._trip(connection, fault)  # the probe looks again, and quarantines if it is so
            raise self._unavailable() from mismatch
        raise IntegrityFailed(f"{self.config.name}: stored data does not open ({fault})") from fault

    def _aside(self, connection: Connection, work: Callable[[], None]) -> None:
        """Run background work inside the gate, unless the connection, and its handles, are out of use."""
        if self.gate.enter(0):
            try:
                if connection is self._connection:
                    work()
            finally:
                self.gate.leave()

    @contextmanager
    def _inside(self) -> Iterator[None]:
        if not self.gate.enter(self._shared.patience_s):
            raise self._unavailable()
        try:
            yield
        finally:
            self.gate.leave()

    # State changes.

    def _try_to_connect(self) -> None:
        connection = None
        try:
            self._library = open_library(self.config.module)
            self._library.attach(self._user, is_idle=self._is_idle)
            connection = Connection(
                *(self._library, self.config, self._shared),
                calls=self.calls,
                tally=self.tally,
                aside=self._aside,
            )
            self._slot, self._generation = connection.slot, self._library.generation
            if not self._fits_profile:
                connection.refuse_wrong_profile()
                self._fits_profile = True
            self._prove_all(connection)
        except (CallFailed, TokenNotFound, *_FOR_A_HUMAN) as error:
            if connection is not None:
                connection.close()
            self._fail_to_connect(error)
            return
        doubt = self._doubt(time.monotonic())
        self._connection = connection
        self._unexplained.clear()
        self._enter(State.SUSPECT if doubt else State.UP, doubt)
        self.gate.open()
        logger.info("%s: %s, token %s", self.config.name, self.state, self.config.wanted)
        if too_many := beyond_limits(self._shared, connection.limits):
            logger.error("%s: %s; fewer processes or a smaller pool fit", self.config.name, too_many)
        if too_much := beyond_memory(self._shared, connection.limits):
            logger.error("%s: %s; fewer processes or fewer cached keys fit", self.config.name, too_much)

    def _fail_to_connect(self, error: CallFailed | HSMError) -> None:
        if isinstance(error, _FOR_A_HUMAN):
            self.quarantine(error)
        elif isinstance(error, CallFailed) and error.says_mechanism:
            self.quarantine(MechanismUnsupported(f"{self.config.name}: {error}: the profile asks too much"))
        elif isinstance(error, CallFailed):
            self._go_down(MemberUnavailable(f"{self.config.name}: {error}"))
        else:
            self._go_down(error)

    def _prove_all(self, connection: Connection) -> None:
        for canary in self._canaries.values():
            connection.prove(canary)
            if self.state is State.STARTING:
                connection.tell_unenforced(canary)
        if self._canaries:
            self._last_canary_at = _now()
        elif self.state is State.RECOVERING:
            connection.exercise()  # nothing is stored yet to prove it with

    def _doubt(self, now: float) -> MemberUnavailable | None:
        """Why a member that serves should be SUSPECT, if it should."""
        oldest_s = self.calls.oldest_s(now)
        if oldest_s > self._shared.soft_hang_s:
            return MemberUnavailable(f"{self.config.name}: a call takes {oldest_s:.1f} s already")
        if len(self._trips) == _TRIPS and now - self._trips[0] < _TRIP_WINDOW_S:
            return MemberUnavailable(
                f"{self.config.name}: was lost {_TRIPS} times within {_TRIP_WINDOW_S:g} s"
            )
        return None

    def _is_idle(self) -> bool:
        """Whether we have no call in the module and make none before we attach to it again."""
        return self.state in {State.DOWN, State.QUARANTINED} and self.gate.in_flight == 0

    def _enter(self, state: State, error: HSMError | None) -> None:
        """Take a state, and note it; the gate is the caller's matter."""
        self.state, self.error = state, error
        self.history.append(Change(at=_now(), state=state, reason=str(error) if error else ""))

    def _reconnect(self, connection: Connection) -> None:
        """Log in anew, unless another thread has done so since ``connection``; requests wait meanwhile."""
        if not self._changing.acquire(timeout=self._shared.patience_s):
            raise self._unavailable()
        try:
            if self._connection is not connection or not self.state.serves:
                return
            logger.warning("%s: the login is lost, logging in anew", self.config.name)
            self._trips.append(time.monotonic())
            self.gate.pause()
            self._enter(State.RECOVERING, MemberUnavailable(f"{self.config.name}: the login is lost"))
            if self.gate.wait_until_empty(self._shared.patience_s):
                self._reset_module()
                self._try_to_connect()
            else:
                self._go_down(MemberUnavailable(f"{self.config.name}: calls hang, no new login possible"))
        finally:
            self._changing.release()

    def _reset_module(self) -> None:
        self._connection = None
        if self._library is None:
            return
        try:
            self._library.reset(self._user, self._slot, generation=self._generation)
        except CallFailed as failed:  # initialising may help all the same
            logger.warning("%s: %s", self.config.name, failed)

    def _trip(self, connection: Connection, fault: CallFailed) -> None:
        if self._connection is not connection or not self.state.serves:
            return  # somebody has dealt with it
        if not self._changing.acquire(timeout=_CHANGES_IN_S):
            return  # somebody deals with it, in a recovery that may hang: another member will serve sooner
        try:
            if self._connection is connection and self.state.serves:
                self.tally.trips += 1
                self._trips.append(time.monotonic())
                self._go_down(MemberUnavailable(f"{self.config.name}: {fault}"))
        finally:
            self._changing.release()

    def _go_down(self, error: HSMError) -> None:
        self.gate.shut()
        self._enter(State.DOWN, error)
        logger.error("%s: down: %s", self.config.name, error)
        self._on_down(self)

    def _quarantine_if_expected(self, connection: Connection, missing: MKEKNotFound) -> None:
        """An unknown MKEK is the caller's matter; one that we proved and that is gone is the token's."""
        if any(canary.mkek_id not in connection.known_mkeks for canary in self._canaries.values()):
            self.quarantine(missing)

    def _current(self) -> Connection:
        connection = self._connection
        if connection is None:  # cannot be: the gate opens after the connection stands
            raise self._unavailable()
        return connection

    def _unavailable(self) -> HSMError:
        """Return why this member does not serve; for a quarantined one the reason itself."""
        if self.state is State.QUARANTINED and self.error is not None:
            return type(self.error)(*self.error.args)
        return MemberUnavailable(
            f"{self.config.name} is {self.state} ({self.error})", retry_after_s=math.ceil(self.retry_after_s)
        )


def _now() -> datetime:
    return datetime.now(UTC)


_END_OF_KIND: dict[Kind, type[HSMError]] = {
    Kind.HANDLE: KeyNotFound,
    Kind.MKEK_HANDLE: MKEKNotFound,
    Kind.SESSION: SessionLost,
    Kind.LOGIN: SessionLost,
    Kind.RESOURCE: PoolExhausted,
}
