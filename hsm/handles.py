import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future

from hsm.budget import within_budget
from hsm.errors import PoolExhausted
from hsm.faults import STATE_LOST, CallFailed
from hsm.stats import Tally
from hsm.sweeper import Sweeper


class Entry:
    """A pKEK's handle; ``proven`` once it opened its canary or a payload; ``users`` use it now."""

    __slots__ = ("alive", "cached", "handle", "key_id", "proven", "users")

    def __init__(self, key_id: str, handle: int) -> None:
        self.key_id = key_id
        self.handle = handle
        self.proven = False
        self.users = 1
        self.cached = True  # found by its key_id
        self.alive = True  # the object is on the token, so it must be destroyed after the last user


class HandleCache:
    """pKEK handles of one login, least recently used out first.

    A token may hand out a handle number again after its object was destroyed,
    and encrypting under another project's key is noticed by nobody.  So an entry
    is pinned while in use, its object is destroyed only after the last user left,
    and a reconnect starts with a new cache once nobody is inside.  An evicted object is
    destroyed beside the requests: ``aside`` runs what it is given as long as this cache is
    the one in use; without it whoever evicts waits.  What ``destroy`` fails with is counted.
    ``tally`` counts hits, misses and evictions.
    """

    def __init__(
        self,
        *,
        limit: int,
        wait_s: float,
        destroy: Callable[[int], bool],
        aside: Callable[[Callable[[], None]], None] | None = None,
        tally: Tally | None = None,
    ) -> None:
        self.failed_destroys = 0
        self._sweeper = (
            None
            if aside is None
            else Sweeper[Entry](lambda entry: aside(lambda: self._destroy_all([entry])), name="hsm-destroy")
        )
        self._tally = tally or Tally()
        self._limit = limit
        self._wait_s = wait_s
        self._destroy = destroy
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._loading: dict[str, Future[None]] = {}
        self._numbers: set[int] = set()  # handles that somebody may still use
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def waiting_destroys(self) -> int:
        """Evicted objects that are still on the token."""
        return 0 if self._sweeper is None else len(self._sweeper)

    def pin(self, key_id: str) -> Entry | None:
        """Return the cached entry, pinned: end with ``unpin``."""
        with self._lock:
            entry = self._entries.get(key_id)
            if entry is None:
                self._tally.cache_misses += 1
            else:
                self._tally.cache_hits += 1
                self._entries.move_to_end(key_id)
                entry.users += 1
            return entry

    def load(self, key_id: str, unwrap: Callable[[], int]) -> Entry:
        """Return the entry, pinned, after one thread has called ``unwrap``; others wait for that thread only.

        Raises:
            CallFailed: what ``unwrap`` raised, in every thread that waited for it.
            PoolExhausted: the unwrap took too long.
        """
        while True:
            with self._lock:
                entry = self._entries.get(key_id)
                if entry is not None:
                    entry.users += 1
                    return entry
                pending = self._loading.get(key_id)
                if pending is None:
                    mine = self._loading[key_id] = Future()
                    break
            try:
                pending.result(within_budget(self._wait_s))
            except TimeoutError as error:
                raise PoolExhausted(f"a key was not unwrapped within {self._wait_s:g} s") from error
        return self._load(key_id, unwrap, mine)

    def _load(self, key_id: str, unwrap: Callable[[], int], mine: Future[None]) -> Entry:
        try:
            handle = unwrap()
            with self._lock:
                self._claim(handle)
                entry = self._entries[key_id] = Entry(key_id, handle)
                idle = self._trim()
                del self._loading[key_id]
        except BaseException as error:
            with self._lock:
                self._loading.pop(key_id, None)
            mine.set_exception(error)
            raise
        mine.set_result(None)
        self._sweep(idle)
        return entry

    def _claim(self, handle: int) -> None:
        """Note a handle as somebody's; a token that gave it out twice has lost what it held for us."""
        if handle in self._numbers:
            raise CallFailed(STATE_LOST, "C_UnwrapKey")
        self._numbers.add(handle)

    def _trim(self) -> list[Entry]:
        """Take the entries above the limit out; return those that nobody uses."""
        idle = []
        while len(self._entries) > self._limit:
            _, entry = self._entries.popitem(last=False)
            entry.cached = False
            self._tally.cache_evictions += 1
            if entry.users == 0:
                idle.append(entry)
        return idle

    def unpin(self, entry: Entry) -> None:
        """End a use; the object of an evicted entry goes after its last user."""
        with self._lock:
            entry.users -= 1
            if entry.users or entry.cached:
                return
        self._sweep([entry])

    def forget(self, key_id: str) -> None:
        """Drop a key; its object is destroyed once nobody uses it."""
        with self._lock:
            entry = self._entries.pop(key_id, None)
            if entry is None:
                return
            entry.cached = False
            if entry.users:
                return
        self._destroy_all([entry])

    def lost(self, entry: Entry) -> None:
        """Drop an entry whose object the token no longer has: its number may be another key's by now."""
        with self._lock:
            entry.alive = False
            if entry.cached:
                entry.cached = False
                del self._entries[entry.key_id]

    def shrink(self) -> None:
        """Give back a quarter of the entries: the token has no room."""
        with self._lock:
            limit, self._limit = self._limit, len(self._entries) * 3 // 4
            idle = self._trim()
            self._limit = limit
        self._destroy_all(idle)

    def _sweep(self, entries: list[Entry]) -> None:
        if entries and not (self._sweeper is not None and self._sweeper.add(entries)):
            self._destroy_all(entries)

    def _destroy_all(self, entries: list[Entry]) -> None:
        for entry in entries:
            with self._lock:  # before the token may hand the number out again
                self._numbers.discard(entry.handle)
            if entry.alive and not self._destroy(entry.handle):
                self.failed_destroys += 1
