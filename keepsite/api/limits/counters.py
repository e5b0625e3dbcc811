"""Counters of requests: shared through memcached, or of this process alone while that is away."""

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b

import structlog
from pymemcache.client.base import (  # type: ignore[import-untyped]  # it has no stubs
    Client,
    normalize_server_spec,
)
from pymemcache.exceptions import MemcacheError  # type: ignore[import-untyped]  # it has no stubs

log = structlog.get_logger(__name__)

TIMEOUT_S = 0.1  # longest that a hit waits for one memcached
DEAD_S = 10.0  # a memcached that failed is not asked again before
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


class _Server:
    """One memcached: connections to it that are free, and whether it is to be left alone."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.dead_until = 0.0  # by the monotonic clock
        self.is_away = False  # failed, and has not answered since
        self._free: deque[Client] = deque()

    @contextmanager
    def connection(self) -> Iterator[Client]:
        """A connection for one thread; after an error it is never used again."""
        try:
            client = self._free.pop()
        except IndexError:
            client = Client(
                normalize_server_spec(self.address),
                connect_timeout=TIMEOUT_S,
                timeout=TIMEOUT_S,
                no_delay=True,
                key_prefix=KEY_PREFIX,
                default_noreply=False,
            )
        try:
            yield client
        except BaseException:
            client.close()
            raise
        self._free.append(client)

    def hang_up(self) -> None:
        """Close the free connections; those in use prove themselves."""
        while self._free:
            with suppress(IndexError):  # another thread took the last one
                self._free.pop().close()


class SharedCounters:
    """Counters in memcached, each on one of ``addresses`` (``host:port``).

    The expiry that a block's first hit sets is the block: it ends by itself, by
    memcached's clock, which ticks in seconds.  A server that does not answer in
    TIMEOUT_S is left alone for DEAD_S; its share of the counters moves to the others
    and begins anew, and with none left the process counts alone.  No hit ever fails.

    pymemcache's HashClient and its pool are not used: their book-keeping of dead
    servers and connections is not safe with threads (4.0).
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        self._servers = [_Server(address) for address in addresses]
        self._lock = threading.Lock()
        self._local = LocalCounters()
        self.fallback_hits = 0  # counted by this process alone because no memcached answered

    def hit(self, name: str, *, block_s: int) -> Block:
        """Count one more, on the memcached where ``name`` lives, or here."""
        server = self._server_of(name)
        if server is not None:
            try:
                with server.connection() as client:
                    block = _hit(client, name, block_s=block_s)
            except (OSError, MemcacheError, ValueError) as error:
                self._bury(server, error)
            else:
                self._greet(server)
                return block
        if self._servers:
            with self._lock:
                self.fallback_hits += 1
        return self._local.hit(name, block_s=block_s)

    def read(self, name: str) -> Block | None:
        """What stands there, or None before the first hit of a block."""
        server = self._server_of(name)
        if server is not None:
            try:
                with server.connection() as client:
                    stored = client.get(name)
                return None if stored is None else Block.of(int(stored))
            except (OSError, MemcacheError, ValueError) as error:
                self._bury(server, error)
        return self._local.read(name)

    def is_degraded(self) -> bool:
        """Whether this process counts alone now although it should not."""
        now = time.monotonic()
        return bool(self._servers) and all(server.dead_until > now for server in self._servers)

    def close(self) -> None:
        """Give the free connections back; the next hit makes new ones."""
        for server in self._servers:
            server.hang_up()

    def _server_of(self, name: str) -> _Server | None:
        """Rendezvous hashing: every node finds the same one, and a lost one moves only its own names."""
        now = time.monotonic()
        alive = [server for server in self._servers if server.dead_until <= now]
        return max(
            alive, key=lambda server: blake2b(f"{server.address} {name}".encode()).digest(), default=None
        )

    def _bury(self, server: _Server, error: Exception) -> None:
        with self._lock:
            server.dead_until = time.monotonic() + DEAD_S
            is_news, server.is_away = not server.is_away, True
        server.hang_up()  # else one stale connection after another buries it again
        if is_news:
            log.warning(
                "limits.memcached_away",
                server=server.address,
                error=f"{type(error).__name__}: {error}",
                counting="alone, with this process's share" if self.is_degraded() else "on the others",
            )

    def _greet(self, server: _Server) -> None:
        if not server.is_away or server.dead_until > time.monotonic():
            return  # nothing new, or an answer that was under way when it failed another thread
        with self._lock:
            is_news, server.is_away = server.is_away, False
        if is_news:
            log.info("limits.memcached_back", server=server.address)


def is_address(server: str) -> bool:
    """Whether ``server`` can be asked: ``host:port``, ``[ipv6]:port`` or ``unix:/path``."""
    if server.startswith("unix:/"):
        return True
    host, _, port = server.rpartition(":")
    return bool(host) and port.isdigit() and 0 < int(port) < 2**16


def _hit(client: Client, name: str, *, block_s: int) -> Block:
    for _ in range(2):
        number = client.incr(name, 1)
        if number is not None:
            return Block.of(number)
        ends_at = int(time.time()) + block_s
        if client.add(name, str(_first_of_block(ends_at)), expire=block_s):
            return Block(count=1, ends_at=ends_at, is_shared=True)
    raise MemcacheError("the counter came and went twice")  # cannot be: a block lasts longer than this
