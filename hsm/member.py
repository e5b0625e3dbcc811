import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import NoReturn, TypeVar

from hsm.config import HSMConfig, MemberConfig
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
from hsm.gate import Gate
from hsm.keys import WrappedKey
from hsm.library import Library, open_library

logger = logging.getLogger(__name__)
T = TypeVar("T")

_FLAPS, _FLAP_WINDOW_S = 3, 10.0  # unexplained failures before a member is taken for broken
_FOR_A_HUMAN = (LoginRefused, MechanismUnsupported, MKEKNotFound, CanaryMismatch, ConfigInvalid, ForkedHSM)


class State(StrEnum):
    """Where a member stands; only UP serves, and only a restart leads out of QUARANTINED."""

    STARTING = "starting"
    UP = "up"
    DOWN = "down"
    RECOVERING = "recovering"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberStatus:
    """One member at this moment, for operators; no secrets.

    ``last_error`` is the class name of what last took it out of service, or empty.
    """

    name: str
    state: State
    module: str
    token_label: str
    token_serial: str
    in_flight: int
    pool_size: int
    sessions_open: int
    sessions_idle: int
    cached_keys: int
    failed_destroys: int
    last_error: str


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
        self.error: HSMError | None = None  # why it does not serve
        self.retry_after_s = 1.0
        self.gate = Gate()
        self._shared = shared
        self._on_down = on_down
        self._canaries: dict[str, WrappedKey] = {}
        self._connection: Connection | None = None
        self._library: Library | None = None
        self._changing = threading.RLock()  # one state change at a time
        self._unexplained: deque[float] = deque(maxlen=_FLAPS)
        self._user = f"{config.name}@{id(self):x}"

    # What the group asks.

    def start(self) -> None:
        """Log in and prove the canaries; the state tells what came of it, ``error`` why."""
        with self._changing:
            self._try_to_connect()

    def expect(self, canaries: Iterable[WrappedKey]) -> None:
        """Remember canaries to prove before serving; a member that is UP proves new ones now.

        Raises:
            CanaryMismatch, MKEKNotFound: this one is not remembered and the member goes on as before.
        """
        for canary in canaries:
            if canary.key_id in self._canaries:
                continue
            if self.state is State.UP:
                self.serve(partial(Connection.prove, key=canary))
            self._canaries[canary.key_id] = canary

    def serve(self, work: Callable[[Connection], T], *, once: bool = False) -> T:
        """Run ``work`` on the current connection, and again, once per kind of fault, unless ``once``.

        Raises:
            MemberUnavailable: the member is out, or went out under this request.
            IntegrityFailed: stored bytes do not open, and the token proved to be well.
            SessionLost, PoolExhausted, KeyNotFound, CallRefused, MechanismUnsupported: as they say.
        """
        repeated = set(Kind) if once else set()
        while True:
            if not self.gate.enter(self._shared.wait_s):
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
        """Drop a cached handle; a member that is out has none."""
        if self.state is State.UP:
            self.serve(lambda connection: connection.handles.forget(key_id))

    def recover(self) -> bool:
        """Probe a member that is DOWN; return whether nothing is left to probe."""
        with self._changing:
            if self.state is not State.DOWN:
                return True
            self.state = State.RECOVERING
            if self.gate.wait_until_empty(self._shared.wait_s):
                self._reset_module()
                self._try_to_connect()
            else:
                self.state = State.DOWN  # a call hangs in the module: it must not be finalised now
            return self.state is not State.DOWN

    def close(self) -> None:
        """Log out and release the module once nobody is inside."""
        with self._changing:
            self.gate.shut()
            if not self.gate.wait_until_empty(self._shared.wait_s):
                raise MemberUnavailable(f"{self.config.name}: calls are still in flight")
            if self._connection is not None:
                self._connection.close()
            if self._library is not None:
                self._library.detach(self._user)
            self._connection, self._library = None, None
            self.state = State.STARTING

    def status(self) -> MemberStatus:
        """Return how the member stands."""
        connection = self._connection
        return MemberStatus(
            name=self.config.name,
            state=self.state,
            module=str(self.config.module),
            token_label=connection.token.label if connection else self.config.token_label or "",
            token_serial=connection.token.serial.decode(errors="replace")
            if connection
            else self.config.token_serial or "",
            in_flight=self.gate.in_flight,
            pool_size=connection.pool.size if connection else self._shared.pool_size,
            sessions_open=connection.pool.open_count + connection.keepers.open_count if connection else 0,
            sessions_idle=connection.pool.idle_count if connection else 0,
            cached_keys=len(connection.handles) if connection else 0,
            failed_destroys=connection.handles.failed_destroys if connection else 0,
            last_error=type(self.error).__name__ if self.error else "",
        )

    # Reactions: return to repeat the request, raise to end it.

    def _react(self, connection: Connection, fault: CallFailed, repeated: set[Kind]) -> None:
        kind = fault.kind
        ended = _END_OF_KIND.get(kind)
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
                len(self._unexplained) == _FLAPS
                and self._unexplained[-1] - self._unexplained[0] < _FLAP_WINDOW_S
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
            self._quarantine(mismatch)
            raise self._unavailable() from mismatch
        raise IntegrityFailed(f"{self.config.name}: stored data does not open ({fault})") from fault

    @contextmanager
    def _inside(self) -> Iterator[None]:
        if not self.gate.enter(self._shared.wait_s):
            raise self._unavailable()
        try:
            yield
        finally:
            self.gate.leave()

    # State changes.

    def _try_to_connect(self) -> None:
        try:
            self._library = open_library(self.config.module)
            self._library.attach(self._user)
            connection = Connection(self._library, self.config, self._shared)
            for canary in self._canaries.values():
                connection.prove(canary)
        except CallFailed as failed:
            self._go_down(MemberUnavailable(f"{self.config.name}: {failed}"))
        except TokenNotFound as missing:
            self._go_down(missing)
        except _FOR_A_HUMAN as error:
            self._quarantine(error)
        else:
            self._connection, self.state, self.error = connection, State.UP, None
            self._unexplained.clear()
            self.gate.open()
            logger.info("%s: up, token %s", self.config.name, self.config.wanted)

    def _reconnect(self, connection: Connection) -> None:
        """Log in anew, unless another thread has done so since ``connection``; requests wait meanwhile."""
        if not self._changing.acquire(timeout=self._shared.wait_s):
            raise self._unavailable()
        try:
            if self._connection is not connection or self.state is not State.UP:
                return
            logger.warning("%s: the login is lost, logging in anew", self.config.name)
            self.gate.pause()
            if self.gate.wait_until_empty(self._shared.wait_s):
                self._reset_module()
                self._try_to_connect()
            else:
                self._go_down(MemberUnavailable(f"{self.config.name}: calls hang, no new login possible"))
        finally:
            self._changing.release()

    def _reset_module(self) -> None:
        slot = self._connection.slot if self._connection is not None else None
        self._connection = None
        if self._library is None:
            return
        try:
            self._library.reset(self._user, slot)
        except CallFailed as failed:  # initialising may help all the same
            logger.warning("%s: %s", self.config.name, failed)

    def _trip(self, connection: Connection, fault: CallFailed) -> None:
        if self._connection is not connection or self.state is not State.UP:
            return  # somebody has dealt with it; do not wait for a recovery that may hang
        with self._changing:
            if self._connection is connection and self.state is State.UP:
                self._go_down(MemberUnavailable(f"{self.config.name}: {fault}"))

    def _go_down(self, error: HSMError) -> None:
        self.gate.shut()
        self.state, self.error = State.DOWN, error
        logger.error("%s: down: %s", self.config.name, error)
        self._on_down(self)

    def _quarantine(self, error: HSMError) -> None:
        with self._changing:
            self.gate.shut()
            self.state, self.error = State.QUARANTINED, error
            logger.critical("%s: quarantined until a restart: %s", self.config.name, error)

    def _quarantine_if_expected(self, connection: Connection, missing: MKEKNotFound) -> None:
        """An unknown MKEK is the caller's matter; one that we proved and that is gone is the token's."""
        if any(canary.mkek_id not in connection.known_mkeks for canary in self._canaries.values()):
            self._quarantine(missing)

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


_END_OF_KIND: dict[Kind, type[HSMError]] = {
    Kind.HANDLE: KeyNotFound,
    Kind.MKEK_HANDLE: MKEKNotFound,
    Kind.SESSION: SessionLost,
    Kind.LOGIN: SessionLost,
    Kind.RESOURCE: PoolExhausted,
}
