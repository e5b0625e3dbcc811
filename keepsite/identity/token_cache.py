"""Where validated Keystone tokens are remembered; what is stored arrives encrypted."""

import threading
import time as clock
from collections.abc import Sequence
from hashlib import blake2b
from typing import Protocol

import structlog
from django.core.cache.backends.locmem import LocMemCache
from pymemcache.client.base import (  # type: ignore[import-untyped]  # it has no types
    Client,
    normalize_server_spec,
)
from pymemcache.exceptions import MemcacheError  # type: ignore[import-untyped]  # it has no types

log = structlog.get_logger(__name__)

TIMEOUT_S = 0.3  # longest that a request waits for one memcached
DEAD_S = 10.0  # a memcached that failed is not asked again before
LOCAL_MAX_TOKENS = 10_000  # of about 2 kB each, per process


class TokenCache(Protocol):
    """The part of memcached that keystonemiddleware asks for, by the names it uses."""

    def get(self, key: str) -> bytes | None:
        """What was stored under ``key``, if it is still there."""

    def set(self, key: str, value: bytes, time: int = 0) -> None:
        """Keep ``value`` for ``time`` seconds; not at all for none."""


class LocalTokenCache:
    """Each process remembers by itself."""

    def __init__(self) -> None:
        self._cache = LocMemCache("keystone-tokens", {"OPTIONS": {"MAX_ENTRIES": LOCAL_MAX_TOKENS}})

    def get(self, key: str) -> bytes | None:
        """What was stored under ``key``, if it is still there."""
        value: bytes | None = self._cache.get(key)
        return value

    def set(self, key: str, value: bytes, time: int = 0) -> None:
        """Keep ``value`` for ``time`` seconds; not at all for none."""
        self._cache.set(key, value, timeout=time)


class SharedTokenCache:
    """All processes of all nodes remember together, each token on one memcached (``host:port``).

    While a server is away its tokens are validated anew and kept by the others; nothing fails.
    keystonemiddleware's own client is not used: it unpickles what memcached hands it
    before any signature is checked.  This one knows nothing but bytes.
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = list(addresses)
        self._dead_until = dict.fromkeys(addresses, 0.0)  # by the monotonic clock
        self._clients = threading.local()  # of each thread: a connection is nobody else's meanwhile

    def get(self, key: str) -> bytes | None:
        """What was stored under ``key``, if it is still there."""
        value: bytes | None = self._ask("get", key)
        return value

    def set(self, key: str, value: bytes, time: int = 0) -> None:
        """Keep ``value`` for ``time`` seconds; not at all for none."""
        if time > 0:  # memcached takes 0 for ever
            self._ask("set", key, value, expire=time)

    def _ask(self, verb: str, key: str, *arguments: object, **options: object) -> bytes | None:
        now = clock.monotonic()
        alive = [address for address in self._addresses if now >= self._dead_until[address]]
        if not alive:
            return None
        address = max(alive, key=lambda address: blake2b(f"{address} {key}".encode()).digest())
        client = self._client(address)
        try:
            answer: bytes | None = getattr(client, verb)(key, *arguments, **options)
        except (OSError, MemcacheError) as error:
            client.close()
            self._dead_until[address] = now + DEAD_S
            log.warning(
                "keystone.token_cache_away", server=address, reason=str(error) or type(error).__name__
            )
            return None
        return answer

    def _client(self, address: str) -> Client:
        clients: dict[str, Client] = self._clients.__dict__
        if address not in clients:
            clients[address] = Client(
                normalize_server_spec(address),
                connect_timeout=TIMEOUT_S,
                timeout=TIMEOUT_S,
                no_delay=True,
                default_noreply=False,  # an error is seen by the call it belongs to
            )
        return clients[address]


def token_cache(addresses: Sequence[str]) -> TokenCache:
    """The cache on these memcached servers; without any, this process's own."""
    return SharedTokenCache(addresses) if addresses else LocalTokenCache()
