"""Keyed digests of what a client sent: equal for equal requests, of no use to who reads the database.

A plain hash would tell a payload of few possible values to whoever tries them all.  So a key made
from KEEPSITE_SECRET_KEY goes into each digest, and the client's own key into that of its request:
where clients choose random keys, not even who knows both KEEPSITE_SECRET_KEY and the database can
try payloads.
"""

import hmac
import json

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

KEY_BYTES = 32
_PURPOSE = b"keepsite idempotency keys, format 1"


def digest(*parts: object) -> str:
    """64 hex digits that only these parts give, in this order, until KEEPSITE_SECRET_KEY changes.

    Parts are JSON values; objects count by their names and values, however they were written.

    Source: RFC 2104 (HMAC) with SHA-256; RFC 5869 (HKDF).
    """
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hmac.digest(_key(), text.encode("ascii"), "sha256").hex()


def _key() -> bytes:
    derivation = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=_PURPOSE)
    return derivation.derive(settings.SECRET_KEY.encode())
