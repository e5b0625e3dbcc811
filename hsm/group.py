import random
import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

from hsm.config import HSMConfig
from hsm.connection import Connection
from hsm.errors import AllMembersDown, MemberUnavailable
from hsm.keys import WrappedKey
from hsm.member import Member, State

T = TypeVar("T")

_FIRST_PROBE_S, _LONGEST_PROBE_S = 0.5, 15.0
_JITTER = 0.2  # of a pause, so that many processes do not knock at once


class Group:
    """The members behind one HSM: the least busy one serves, the next one once more if it goes away."""

    def __init__(self, config: HSMConfig) -> None:
        self.members = tuple(Member(member, config, on_down=self._probe) for member in config.members)
        self._closing = threading.Event()
        self._probed: set[str] = set()
        self._probing = threading.Lock()

    def start(self) -> None:
        """Start every member; ``refuse_if_down`` tells whether one serves."""
        for member in self.members:
            member.start()

    def refuse_if_down(self) -> None:
        """Return if a member serves.

        Raises:
            HSMError: why a lone member does not.
            AllMembersDown: none of several does.
        """
        if not self._serving(self.members):
            raise self._nobody()

    def expect(self, canaries: Iterable[WrappedKey]) -> None:
        """Have every member prove these canaries before it serves."""
        wanted = tuple(canaries)
        for member in self.members:
            member.expect(wanted)

    def run(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` on a member, and once on another if the first goes away under it."""
        member = self._choose(self.members)
        try:
            return member.serve(work)
        except MemberUnavailable:
            others = tuple(other for other in self.members if other is not member)
            if not self._serving(others):
                raise
        return self._choose(others).serve(work)

    def run_once(self, work: Callable[[Connection], T]) -> T:
        """Run a ceremony on one member; nobody repeats it on another."""
        return self._choose(self.members).serve(work, once=True)

    def forget(self, key_id: str) -> None:
        """Drop a cached handle wherever one may be."""
        for member in self.members:
            member.forget(key_id)

    def close(self) -> None:
        """Stop probing and log out everywhere."""
        self._closing.set()
        for member in self.members:
            member.close()

    def _choose(self, members: tuple[Member, ...]) -> Member:
        if len(members) == 1 and members[0].state is not State.QUARANTINED:
            return members[0]  # its gate says whether it serves
        serving = self._serving(members)
        if not serving:
            raise self._nobody()
        active = [member for member in serving if member.config.weight] or serving
        return min(active, key=lambda member: member.gate.in_flight / max(member.config.weight, 1))

    def _serving(self, members: Iterable[Member]) -> list[Member]:
        return [member for member in members if member.state is State.UP]

    def _nobody(self) -> Exception:
        if len(self.members) == 1 and self.members[0].error is not None:
            error = self.members[0].error
            return type(error)(*error.args)
        reasons = "; ".join(str(member.error) for member in self.members)
        soonest = min((member.retry_after_s for member in self.members), default=_FIRST_PROBE_S)
        return AllMembersDown(f"no HSM member serves: {reasons}", retry_after_s=max(1, round(soonest)))

    def _probe(self, member: Member) -> None:
        """Probe a member that went down, in the background, until it is up or needs a human."""
        with self._probing:
            if member.config.name in self._probed or self._closing.is_set():
                return
            self._probed.add(member.config.name)
        threading.Thread(
            target=self._probe_until_up, args=(member,), name=f"hsm-probe-{member.config.name}", daemon=True
        ).start()

    def _probe_until_up(self, member: Member) -> None:
        pause_s = _FIRST_PROBE_S
        while True:
            member.retry_after_s = pause_s
            if self._closing.wait(pause_s * random.uniform(1 - _JITTER, 1 + _JITTER)):  # noqa: S311 - spreads load
                return
            if member.recover():
                with self._probing:
                    if member.state is not State.DOWN:  # else it went down again just now
                        self._probed.discard(member.config.name)
                        return
            pause_s = min(pause_s * 2, _LONGEST_PROBE_S)
