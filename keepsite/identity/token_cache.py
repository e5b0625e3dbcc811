"""Where validated Keystone tokens are remembered; what is stored arrives encrypted."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from django.core.cache.backends.locmem import LocMemCache

from keepsite.memcached import Memcached, MemcachedAway

TIMEOUT_S = 0.3  # longest that a request waits for one memcached
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
        self._shared = Memcached(addresses, purpose="keystone tokens", timeout_s=TIMEOUT_S)

    def get(self, key: str) -> bytes | None:
        """What was stored under ``key``, if it is still there."""
        try:
            value: bytes | None = self._shared.ask(key, lambda client: client.get(key))
        except MemcachedAway:
            return None
        return value

    def set(self, key: str, value: bytes, time: int = 0) -> None:
        """Keep ``value`` for ``time`` seconds; not at all for none."""
        if time > 0:  # memcached takes 0 for ever
            with suppress(MemcachedAway):  # said by the log; the token is validated anew
                self._shared.ask(key, lambda client: client.set(key, value, expire=time))

    def close(self) -> None:
        """Give the free connections back; the next question makes new ones."""
        self._shared.close()


def token_cache(addresses: Sequence[str]) -> TokenCache:
    """The cache on these memcached servers; without any, this process's own."""
    return SharedTokenCache(addresses) if addresses else LocalTokenCache()
