"""Secrets of authenticators at rest: AES-256-GCM under a key made from KEEPSITE_SECRET_KEY.

The HSM is not asked: whoever must look after a broken HSM has to get in.  So this keeps
a copy of the database from yielding codes, and no more than that.
"""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from keepsite.errors import KeyMaterialError
from keepsite.translation import gettext_lazy

FORMAT = b"\x01"
KEY_BYTES = 32
IV_BYTES = 12  # NIST SP 800-38D, 96-bit IV
_PURPOSE = b"keepsite authenticator secret, format 1"


class UnreadableSecret(KeyMaterialError):
    """KEEPSITE_SECRET_KEY has changed, or the row is not this operator's: the operator must enrol anew."""

    public = gettext_lazy(
        "Your second factor cannot be checked: its secret does not open. Another operator must remove it,"
        " or manage.py operator remove-second-factor; then set it up again."
    )


def seal(secret: bytes, *, user_id: object) -> bytes:
    """``secret`` for the database: format (1 byte), IV (12), ciphertext, tag (16); bound to its operator."""
    iv = os.urandom(IV_BYTES)
    return FORMAT + iv + AESGCM(_key()).encrypt(iv, secret, _context(user_id))


def open_sealed(sealed: bytes, *, user_id: object) -> bytes:
    """What ``seal`` was given for the same operator.

    Raises:
        UnreadableSecret: it was sealed under another key or for somebody else, or was changed.
    """
    iv, ciphertext = sealed[1 : 1 + IV_BYTES], sealed[1 + IV_BYTES :]
    if sealed[:1] != FORMAT:
        raise UnreadableSecret
    try:
        return AESGCM(_key()).decrypt(iv, ciphertext, _context(user_id))
    except (InvalidTag, ValueError) as error:
        raise UnreadableSecret from error


def _key() -> bytes:
    derivation = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=_PURPOSE)
    return derivation.derive(settings.SECRET_KEY.encode())


def _context(user_id: object) -> bytes:
    return b"operator " + str(user_id).encode()
