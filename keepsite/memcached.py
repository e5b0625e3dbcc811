"""Several memcached servers as one: each key lives on one of them, and one that fails is left alone.

pymemcache's HashClient and its pool are not used: their book-keeping of dead servers and
connections is not safe with threads (4.0).
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import blake2b
from typing import TypeVar

import structlog
from pymemcache.client.base import (  # type: ignore[import-untyped]  # it has no stubs
    Client,
    normalize_server_spec,
)
from pymemcache.exceptions import MemcacheError  # type: ignore[import-untyped]  # it has no stubs

log = structlog.get_logger(__name__)

DEAD_S = 10.0  # a memcached that failed is not asked again before

T = TypeVar("T")


class MemcachedAway(Exception):
    """No memcached answered; the caller goes on by itself."""


class _Server:
    """One memcached: connections to it that are free, and whether it is to be left alone."""

    def __init__(self, address: str, timeout_s: float, key_prefix: bytes) -> None:
        self.address = address
        self.dead_until = 0.0  # by the monotonic clock
        self.is_away = False  # failed, and has not answered since
        self._timeout_s, self._key_prefix = timeout_s, key_prefix
        self._free: deque[Client] = deque()

    @contextmanager
    def connection(self) -> Iterator[Client]:
        """A connection for one thread; after an error it is never used again."""
        try:
            client = self._free.pop()
        except IndexError:
            client = Client(
                normalize_server_spec(self.address),
                connect_timeout=self._timeout_s,
                timeout=self._timeout_s,
                no_delay=True,
                key_prefix=self._key_prefix,
                default_noreply=False,  # an error is seen by the call it belongs to
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


class Memcached:
    """Servers at ``addresses`` (``host:port``), shared by all processes of all nodes.

    One that does not answer within ``timeout_s`` is left alone for DEAD_S; its keys
    move to the others and begin anew there.  ``purpose`` is what the log calls them.
    """

    def __init__(
        self, addresses: Sequence[str], *, purpose: str, timeout_s: float, key_prefix: bytes = b""
    ) -> None:
        self._servers = [_Server(address, timeout_s, key_prefix) for address in addresses]
        self._purpose = purpose
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._servers)

    def ask(self, key: str, question: Callable[[Client], T]) -> T:
        """Put ``question`` to the server where ``key`` lives, once.

        Raises:
            MemcachedAway: it failed, or there is none left to ask.
        """
        server = self._server_of(key)
        if server is None:
            raise MemcachedAway
        try:
            with server.connection() as client:
                answer = question(client)
        except (OSError, MemcacheError, ValueError) as error:
            self._bury(server, error)
            raise MemcachedAway from error
        self._greet(server)
        return answer

    def are_all_away(self) -> bool:
        """Whether there are servers, and none is to be asked now."""
        now = time.monotonic()
        return bool(self._servers) and all(server.dead_until > now for server in self._servers)

    def close(self) -> None:
        """Give the free connections back; the next question makes new ones."""
        for server in self._servers:
            server.hang_up()

    def _server_of(self, key: str) -> _Server | None:
        """Rendezvous hashing: every node finds the same one, and a lost one moves only its own keys."""
        now = time.monotonic()
        alive = [server for server in self._servers if server.dead_until <= now]
        return max(
            alive, key=lambda server: blake2b(f"{server.address} {key}".encode()).digest(), default=None
        )

    def _bury(self, server: _Server, error: Exception) -> None:
        with self._lock:
            server.dead_until = time.monotonic() + DEAD_S
            is_news, server.is_away = not server.is_away, True
        server.hang_up()  # else one stale connection after another buries it again
        if is_news:
            log.warning(
                "memcached.away",
                purpose=self._purpose,
                server=server.address,
                error=f"{type(error).__name__}: {error}",
                all_away=self.are_all_away(),
            )

    def _greet(self, server: _Server) -> None:
        if not server.is_away or server.dead_until > time.monotonic():
            return  # nothing new, or an answer that was under way when it failed another thread
        with self._lock:
            is_news, server.is_away = server.is_away, False
        if is_news:
            log.info("memcached.back", purpose=self._purpose, server=server.address)


def is_address(server: str) -> bool:
    """Whether ``server`` can be asked: ``host:port``, ``[ipv6]:port`` or ``unix:/path``."""
    if server.startswith("unix:/"):
        return True
    host, _, port = server.rpartition(":")
    return bool(host) and port.isdigit() and 0 < int(port) < 2**16
