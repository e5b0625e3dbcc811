import threading
from collections.abc import Callable

from hsm.keys import GCM_IV_BYTES

_AT_ONCE = 64  # IVs per call


class TokenIVs:
    """IVs that the token's generator made, fetched 64 at a time; each is given out once.

    One belongs to one login of one process, so no child of a fork gets IVs of its parent.

    Source: NIST SP 800-38D, 8.2.2 (RBG-based construction, 96 bits).
    """

    def __init__(self, fetch: Callable[[int], bytes]) -> None:
        self._fetch = fetch
        self._left: list[bytes] = []
        self._lock = threading.Lock()

    def take(self) -> bytes:
        """Return 12 bytes that nobody else gets; one call of the token for every 64.

        Raises:
            CallFailed, PoolExhausted: as ``fetch`` does.
        """
        with self._lock:
            if self._left:
                return self._left.pop()
        fetched = self._fetch(_AT_ONCE * GCM_IV_BYTES)  # not under the lock: it may hang
        ivs = [fetched[at : at + GCM_IV_BYTES] for at in range(0, len(fetched), GCM_IV_BYTES)]
        with self._lock:
            self._left.extend(ivs[1:])
        return ivs[0]
