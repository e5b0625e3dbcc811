import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TypeVar

from hsm.budget import budget
from hsm.config import HSMConfig
from hsm.connection import Connection
from hsm.errors import (
    AllMembersDown,
    CanaryMismatch,
    HSMError,
    KeyNotFound,
    MemberUnavailable,
    MKEKNotFound,
    PoolExhausted,
    SessionLost,
)
from hsm.keys import WrappedKey
from hsm.member import Member, MemberStatus, State
from hsm.prober import FIRST_PAUSE_S, Prober
from hsm.stats import Call

logger = logging.getLogger(__name__)
T = TypeVar("T")
Listener = Callable[[MemberStatus, list[Call]], None]

_WATCH_S = 0.1  # between two looks at the members
_TELL_S = 1.0  # between two reports to the listener
_ALIKE = 1.25  # members whose latencies differ by less take turns

# What another member may do better.  Anything else is the data's fault, or would be refused there too.
_WORTH_ANOTHER = (MemberUnavailable, PoolExhausted, SessionLost, KeyNotFound)
_NOT_THE_KEY = (CanaryMismatch, MKEKNotFound)


class Group:
    """The members behind one HSM: the least busy one serves, another one once more if it cannot.

    ``start`` begins the logins and one thread that watches; ``on_stuck`` is told
    once when so many requests hang that the process should be replaced.
    """

    def __init__(self, config: HSMConfig) -> None:
        self._prober = Prober()
        self.members = tuple(Member(member, config, on_down=self._prober.want) for member in config.members)
        self.on_stuck: Callable[[str], None] | None = None
        self.threads = 1  # that serve requests in this process
        self._listener: Listener | None = None
        self._config = config
        self._closing = threading.Event()
        self._settled = threading.Condition(threading.Lock())
        self._starting = len(self.members)
        self._turns = itertools.count()

    def start(self) -> None:
        """Begin to log in everywhere at once, so that a member that hangs keeps no other one from serving."""
        for member in self.members:
            threading.Thread(
                target=self._start, args=(member,), name=f"hsm-start-{member.config.name}", daemon=True
            ).start()
        threading.Thread(target=self._watch, name="hsm-watch", daemon=True).start()

    def wait_until_started(self, wait_s: float, *, all_of_them: bool) -> None:
        """Return once all have succeeded or failed, or one serves unless ``all_of_them``, or in time."""
        with self._settled:
            self._settled.wait_for(
                lambda: not self._starting or (not all_of_them and self._serving(self.members)), wait_s
            )

    def refuse_if_down(self) -> None:
        """Return if a member serves.

        Raises:
            HSMError: why a lone member does not.
            AllMembersDown: none of several does.
        """
        if not self._serving(self.members):
            raise self._nobody()

    def expect(self, canaries: Iterable[WrappedKey]) -> None:
        """Have every member prove these canaries before it serves.

        One that fails while another one succeeds lacks an MKEK, or holds another
        key under its id: it is quarantined.

        Raises:
            MKEKNotFound, CanaryMismatch: no member proves it; it is not demanded of any.
            MemberUnavailable: those that serve went out under it.
        """
        for canary in canaries:
            self._prove(canary)
            for member in self.members:
                member.remember(canary)

    def run(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` on a member, and once on another if the first cannot, within the request's budget."""
        with budget(self._config.budget_s) as deadline:
            member = self._choose(self.members)
            try:
                return member.serve(work)
            except HSMError as error:
                other = self._instead_of(member, error, deadline)
            try:
                return other.serve(work)
            except MemberUnavailable as away:
                if self._serving(self.members):
                    raise
                raise self._nobody() from away

    def run_once(self, work: Callable[[Connection], T]) -> T:
        """Run a ceremony on one member; nobody repeats it on another."""
        return self._choose(self.members).serve(work, once=True)

    def forget(self, key_id: str) -> None:
        """Drop a cached handle wherever one may be."""
        for member in self.members:
            member.forget(key_id)

    def status(self) -> tuple[MemberStatus, ...]:
        """Return how each member stands in this process, from memory: state, history, numbers."""
        return tuple(member.status() for member in self.members)

    def listen(self, listener: Listener | None) -> None:
        """Have ``listener`` told once a second from now on; None: nobody."""
        self._listener = listener
        for member in self.members:
            member.calls.keep_for_listener(keep=listener is not None)

    def tell(self) -> None:
        """Give the listener each member's status and the calls that ended since the last time."""
        for member in self.members:
            ended = member.calls.take_untold()
            if self._listener is not None:
                self._listener(member.status(), ended)

    def close(self) -> None:
        """Stop probing and log out everywhere."""
        self._closing.set()
        self._prober.close()
        for member in self.members:
            member.close()

    # Choice.

    def _choose(self, members: tuple[Member, ...]) -> Member:
        if len(self.members) == 1 and self.members[0].state is not State.QUARANTINED:
            return self.members[0]  # its gate says whether it serves
        serving = self._serving(members)
        if not serving:
            raise self._nobody()
        return self._least_busy(self._preferred(serving))

    def _preferred(self, serving: list[Member]) -> list[Member]:
        """Members to choose from: UP before SUSPECT, and standbys, of weight 0, only if no other is left."""
        best = min((member.state is State.SUSPECT, not member.config.weight) for member in serving)
        return [
            member for member in serving if (member.state is State.SUSPECT, not member.config.weight) == best
        ] or serving  # a state changed meanwhile

    def _least_busy(self, members: list[Member]) -> Member:
        if len(members) == 1:
            return members[0]
        loads = [(member.gate.in_flight / max(member.config.weight, 1), member) for member in members]
        least = min(load for load, _ in loads)
        now = time.monotonic()
        idle = [(member.calls.average_s(now), member) for load, member in loads if load == least]
        quickest = min(average_s for average_s, _ in idle)
        alike = [member for average_s, member in idle if average_s <= quickest * _ALIKE]
        return alike[next(self._turns) % len(alike)]

    def _instead_of(self, member: Member, error: HSMError, deadline: float) -> Member:
        """Return the member to try next, or raise ``error`` if there is none or it would not help."""
        if member.state.serves and not isinstance(error, _WORTH_ANOTHER):
            raise error
        others = tuple(other for other in self.members if other is not member)
        if not others or time.monotonic() >= deadline:
            raise error
        if not self._serving(others):
            raise (error if member.state.serves else self._nobody()) from error
        return self._choose(others)

    def _serving(self, members: Iterable[Member]) -> list[Member]:
        return [member for member in members if member.state.serves]

    def _nobody(self) -> HSMError:
        if len(self.members) == 1 and self.members[0].error is not None:
            error = self.members[0].error
            return type(error)(*error.args)
        reasons = "; ".join(
            f"{member.config.name} {member.state} ({member.error})" for member in self.members
        )
        soonest = min((member.retry_after_s for member in self.members), default=FIRST_PAUSE_S)
        return AllMembersDown(f"no HSM member serves: {reasons}", retry_after_s=max(1, round(soonest)))

    # Proofs.

    def _prove(self, canary: WrappedKey) -> None:
        failures: list[tuple[Member, HSMError]] = []
        serving = self._serving(self.members)
        for member in serving:
            try:
                member.prove(canary)
            except HSMError as error:
                failures.append((member, error))
        lacking = [(member, error) for member, error in failures if isinstance(error, _NOT_THE_KEY)]
        if failures and len(failures) == len(serving):
            raise (lacking or failures)[0][1]
        for member, failure in lacking:
            member.quarantine(failure)

    # In the background.

    def _start(self, member: Member) -> None:
        member.start()
        with self._settled:
            self._starting -= 1
            self._settled.notify_all()

    def _watch(self) -> None:
        told_at, replaced = time.monotonic(), False
        while not self._closing.wait(_WATCH_S):
            for member in self.members:
                member.watch()
                if member.is_forgotten():
                    self._prober.want(member)
            self._prober.look_after()
            reason = self._stuck()
            if reason and self.on_stuck is not None and not replaced:
                replaced = True
                logger.critical("this process is to be replaced: %s", reason)
                self.on_stuck(reason)
            if time.monotonic() - told_at >= _TELL_S:
                told_at = time.monotonic()
                with suppress(OSError):  # a listener's full disk must not end this watch
                    self.tell()

    def _stuck(self) -> str | None:
        """Why this process should be replaced, if it should: a C call cannot be cancelled."""
        hard_s = self._config.hard_hang_s
        for_ever = sum(member.gate.inside_longer_than(hard_s) for member in self.members)
        if for_ever:
            return f"{for_ever} HSM calls have hung for {hard_s:g} s"
        long = sum(member.gate.inside_longer_than(hard_s / 3) for member in self.members)
        if long * 2 > self.threads:
            return f"{long} of {self.threads} threads have hung in the HSM for {hard_s / 3:g} s"
        return None
