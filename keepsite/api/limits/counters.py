"""Counters of requests: shared through memcached, or of this process alone while that is away."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from pymemcache.client.base import Client  # type: ignore[import-untyped]  # it has no stubs
from pymemcache.exceptions import MemcacheError  # type: ignore[import-untyped]  # it has no stubs

from keepsite.memcached import Memcached, MemcachedAway

TIMEOUT_S = 0.1  # longest that a hit waits for one memcached
MAX_LOCAL_COUNTERS = 10_000  # captured texts are the client's: memory stays bounded whatever they send
KEY_PREFIX = b"keepsite:limit:1:"  # 1: the layout of a Block
_COUNT_BITS = 32
_COUNT_MASK = 2**_COUNT_BITS - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """What a counter says: how many hits since its block began, and when that ends.

    Stored as one number, which memcached counts up: the end in seconds since 1970
    in the upper 32 bits, the hits in the lower 32.  So one round trip tells both,
    and whoever asks need not have started the block.
    """

    count: int
    ends_at: int  # s since 1970, by the clock of the node that started it: for hints, never to decide
    is_shared: bool  # whether all nodes count here

    @classmethod
    def of(cls, number: int) -> "Block":
        """The block that ``number`` stands for."""
        return cls(count=number & _COUNT_MASK, ends_at=number >> _COUNT_BITS, is_shared=True)


def _first_of_block(ends_at: int) -> int:
    return (ends_at << _COUNT_BITS) + 1


class LocalCounters:
    """Counters of this process alone."""

    def __init__(self) -> None:
        self._blocks: dict[str, tuple[int, int]] = {}  # name: hits, end
        self._lock = threading.Lock()

    def hit(self, name: str, *, block_s: int) -> Block:
        """Count one more; a block begins with the first hit after the last one's end."""
        now = time.time()
        with self._lock:
            count, ends_at = self._blocks.get(name, (0, 0))
            if ends_at <= now:
                self._make_room(now)
                count, ends_at = 0, int(now) + block_s
            self._blocks[name] = count + 1, ends_at
        return Block(count=count + 1, ends_at=ends_at, is_shared=False)

    def read(self, name: str) -> Block | None:
        """What stands there, or None before the first hit of a block."""
        count, ends_at = self._blocks.get(name, (0, 0))
        return None if ends_at <= time.time() else Block(count=count, ends_at=ends_at, is_shared=False)

    def _make_room(self, now: float) -> None:
        if len(self._blocks) < MAX_LOCAL_COUNTERS:
            return
        self._blocks = {name: block for name, block in self._blocks.items() if block[1] > now}
        for name in list(self._blocks)[: len(self._blocks) - MAX_LOCAL_COUNTERS // 2]:
            del self._blocks[name]  # the oldest: forgetting lets through, it does not shut out


class SharedCounters:
    """Counters in memcached, each on one of ``addresses`` (``host:port``).

    The expiry that a block's first hit sets is the block: it ends by itself, by
    memcached's clock, which ticks in seconds.  The counters of a server that is away
    begin anew on the others, and with none left the process counts alone.  No hit ever fails.
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        self._shared = Memcached(addresses, purpose="limits", timeout_s=TIMEOUT_S, key_prefix=KEY_PREFIX)
        self._lock = threading.Lock()
        self._local = LocalCounters()
        self.fallback_hits = 0  # counted by this process alone because no memcached answered

    def hit(self, name: str, *, block_s: int) -> Block:
        """Count one more, on the memcached where ``name`` lives, or here."""
        try:
            return self._shared.ask(name, lambda client: _hit(client, name, block_s=block_s))
        except MemcachedAway:
            if self._shared:
                with self._lock:
                    self.fallback_hits += 1
            return self._local.hit(name, block_s=block_s)

    def read(self, name: str) -> Block | None:
        """What stands there, or None before the first hit of a block."""
        try:
            return self._shared.ask(name, lambda client: _read(client, name))
        except MemcachedAway:
            return self._local.read(name)

    def is_degraded(self) -> bool:
        """Whether this process counts alone now although it should not."""
        return self._shared.are_all_away()

    def close(self) -> None:
        """Give the free connections back; the next hit makes new ones."""
        self._shared.close()


def _hit(client: Client, name: str, *, block_s: int) -> Block:
    for _ in range(2):
        number = client.incr(name, 1)
        if number is not None:
            return Block.of(number)
        ends_at = int(time.time()) + block_s
        if client.add(name, str(_first_of_block(ends_at)), expire=block_s):
            return Block(count=1, ends_at=ends_at, is_shared=True)
    raise MemcacheError("the counter came and went twice")  # cannot be: a block lasts longer than this


def _read(client: Client, name: str) -> Block | None:
    stored = client.get(name)
    return None if stored is None else Block.of(int(stored))
