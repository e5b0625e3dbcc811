"""The process's HSM, once its members have proven that they hold the MKEKs in service."""

import threading

from hsm.client import HSM
from hsm.provider import hsm
from keepsite.keyring.models import MKEK
from keepsite.keyring.querysets import serving_mkeks


class _Expected:
    """Which MKEKs this process's HSM has proven; loaded once, and again when a new one turns up."""

    lock = threading.Lock()
    token: HSM | None = None
    mkek_ids: frozenset[str] = frozenset()


def proven_hsm(mkek: MKEK | None = None) -> HSM:
    """The HSM, its members proven to hold the MKEKs in service, ``mkek`` among them."""
    token = hsm()
    if _Expected.token is token and (mkek is None or mkek.id in _Expected.mkek_ids):
        return token
    with _Expected.lock:
        mkeks = list(serving_mkeks())
        token.expect([row.canary for row in mkeks])
        _Expected.token, _Expected.mkek_ids = token, frozenset(row.id for row in mkeks)
    return token
