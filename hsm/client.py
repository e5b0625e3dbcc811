import os
import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

from hsm.config import HSMConfig, Pin
from hsm.connection import Connection
from hsm.errors import CallRefused, ForkedHSM, IntegrityFailed
from hsm.group import Group, Listener
from hsm.keys import GCM_TAG_BYTES, Encrypted, MKEKInfo, UnwrapTemplate, WrappedKey
from hsm.member import MemberStatus
from hsm.profiles import Profile

T = TypeVar("T")

_START_WAIT_S = 30.0


class HSM:
    """The one class other apps use: make, encrypt under and decrypt under keys that never leave the token.

    Constructing it touches nothing; the first verb starts it.  Any number of
    threads may use it, in the process that started it.  Besides what a verb
    lists, each may raise what keeps the HSM from serving: ``MemberUnavailable``
    or ``AllMembersDown`` (with ``retry_after_s``), ``PoolExhausted``,
    ``SessionLost`` (try later); ``ForkedHSM``, ``ConfigInvalid``,
    ``TokenNotFound``, ``LoginRefused``, ``MechanismUnsupported``, ``CallRefused``
    (an operator must act).
    """

    def __init__(self, config: HSMConfig) -> None:
        self.config = config
        self._group = Group(config)
        self._pid = 0  # of the process that started us; no process has 0
        self._starting = threading.Lock()
        self._has_started = False

    @property
    def profile(self) -> Profile:
        """What is particular about the members, ``max_single_part_bytes`` for one."""
        return self.config.profile

    def start(self) -> None:
        """Load, find the token, log in, check mechanisms, prove the canaries on every member; at most once.

        Returns once every member has succeeded or failed; one that hangs is not waited for beyond 30 s.

        Raises:
            TokenNotFound, LoginRefused, MechanismUnsupported, ConfigInvalid: an operator must act.
            MKEKNotFound, CanaryMismatch: the token lacks an MKEK, or holds another key under its id.
            MemberUnavailable: the token is away; a probe goes on in the background.
        """
        self._begin()
        self._group.wait_until_started(_START_WAIT_S, all_of_them=True)
        self._group.refuse_if_down()  # a failed start is not repeated: probes or a human go on from there

    def expect(self, canaries: Iterable[WrappedKey]) -> None:
        """Demand that every member opens these MKEK canaries before it serves; a running one does so now.

        Raises:
            MKEKNotFound, CanaryMismatch: a running member does not; it serves on as before.
        """
        self._refuse_fork()
        self._group.expect(canaries)

    def encrypt(self, key: WrappedKey, plaintext: bytes, *, aad: bytes) -> Encrypted:
        """Encrypt by AES-256-GCM under a fresh random IV: 2 calls warm, 5 when the key must be unwrapped.

        A key encrypts only after it opened its canary.

        Raises:
            IntegrityFailed: the stored key does not unwrap or open its canary; do not use it.
            MKEKNotFound: its MKEK is not on the token.

        Source: NIST SP 800-38D; PKCS#11 v3.1, CKM_AES_GCM.
        """
        limit = self.profile.max_single_part_bytes
        if len(plaintext) > limit:
            raise CallRefused(f"{len(plaintext)} bytes do not fit into one call; at most {limit} do")
        return self._run(lambda connection: connection.encrypt(key, plaintext, aad=aad))

    def decrypt(self, key: WrappedKey, encrypted: Encrypted, *, aad: bytes) -> bytes:
        """Return the plaintext: 2 calls warm, 3 when the key must be unwrapped.

        Raises:
            IntegrityFailed: ciphertext, IV, AAD or key are not what was encrypted.
            MKEKNotFound: the key's MKEK is not on the token.
        """
        if len(encrypted.ciphertext) < GCM_TAG_BYTES:
            raise IntegrityFailed("a ciphertext is shorter than its tag")
        return self._run(lambda connection: connection.decrypt(key, encrypted, aad=aad))

    def create_key(
        self, *, mkek_id: bytes, key_id: str, canary_plaintext: bytes, canary_aad: bytes
    ) -> WrappedKey:
        """Make a pKEK and return it wrapped, with its canary: 6 calls, nothing stored.

        The key stays in the handle cache, proven, so an encrypt that follows takes 2 calls.
        """
        return self._run(
            lambda connection: connection.create_key(
                mkek_id=mkek_id, key_id=key_id, canary_plaintext=canary_plaintext, canary_aad=canary_aad
            )
        )

    def random(self, length_bytes: int) -> bytes:
        """Return random bytes made by the token: 1 call."""
        return self._run(lambda connection: connection.random(length_bytes))

    def rewrap(self, key: WrappedKey, *, mkek_id: bytes) -> bytes:
        """Return ``key`` wrapped under another MKEK, proven by its canary: 7 calls; nothing is stored.

        Raises:
            IntegrityFailed: the key does not unwrap or open its canary; keep its old bytes.
            MKEKNotFound: one of the two MKEKs is not on the token.
            CallRefused: the old MKEK's template forbids it, or the new one is not trusted.
        """
        return self._run(lambda connection: connection.rewrap(key, mkek_id=mkek_id))

    def generate_mkek(self, *, label: str, template: UnwrapTemplate = UnwrapTemplate.NONE) -> MKEKInfo:
        """Make an AES-256 MKEK on one member's token, durable on return; never repeated.

        Raises:
            LabelTaken: a key of this label exists.
        """
        return self.ceremony(lambda connection: connection.generate_mkek(label=label, template=template))

    def ceremony(self, work: Callable[[Connection], T], *, member: str | None = None) -> T:
        """Run ``work`` once on the named member, or on any that serves; nobody repeats it on another."""
        self._start_if_needed()
        if member is None:
            return self._group.run_once(work)
        self._group.wait_until_started(_START_WAIT_S, all_of_them=True)
        named = next(one for one in self._group.members if one.config.name == member)
        return named.serve(work, once=True)

    def mkeks(self) -> tuple[MKEKInfo, ...]:
        """Return the MKEKs on the token, by label; a search, not for the request path."""
        return self._run(lambda connection: connection.mkeks())

    def forget(self, key_id: str) -> None:
        """Drop a cached handle on every member; its object goes after its last user."""
        self._refuse_fork()
        self._group.forget(key_id)

    def look_again(self, member: str, *, pin: Pin | None = None) -> None:
        """Have the named member, if it is quarantined, probed again within a second, with a corrected PIN."""
        self._refuse_fork()
        for one in self._group.members:
            if one.config.name == member:
                one.look_again(pin)

    def status(self) -> tuple[MemberStatus, ...]:
        """Return how each member stands, without asking the token."""
        return self._group.status()

    def listen(self, listener: Listener | None) -> None:
        """Tell ``listener`` each member's status and ended calls once a second, from a thread of ours."""
        self._group.listen(listener)

    def tell(self) -> None:
        """Tell the listener now."""
        self._group.tell()

    def replace_when_stuck(self, replace: Callable[[str], None], *, threads: int) -> None:
        """Call ``replace`` with a reason, once, when calls hang for good or more than half of ``threads`` do.

        It is called in a thread of ours and must see to it that this process takes
        no new work and is replaced.
        """
        self._group.threads, self._group.on_stuck = threads, replace

    def close(self) -> None:
        """Log out and release the modules once calls in flight are done; not usable afterwards.

        Raises:
            MemberUnavailable: a call hangs; its member is left as it is.
        """
        self._refuse_fork()
        self._group.close()

    def _run(self, work: Callable[[Connection], T]) -> T:
        self._start_if_needed()
        return self._group.run(work)

    def _start_if_needed(self) -> None:
        if self._pid != os.getpid():
            self._begin()
        if not self._has_started:
            self._group.wait_until_started(self.config.wait_s, all_of_them=False)
            self._has_started = True  # from now on the members' states tell

    def _begin(self) -> None:
        self._refuse_fork()
        with self._starting:
            if not self._pid:
                self._pid = os.getpid()
                self._group.start()

    def _refuse_fork(self) -> None:
        if self._pid not in {0, os.getpid()}:
            raise ForkedHSM(
                f"the HSM was loaded before fork, by process {self._pid}: "
                "start it in the worker, not in its parent"
            )
