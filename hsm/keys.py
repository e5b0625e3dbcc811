from dataclasses import dataclass
from enum import StrEnum

AES_256_BYTES = 32
GCM_IV_BYTES = 12  # NIST SP 800-38D, 96-bit IV
GCM_TAG_BYTES = 16  # NIST SP 800-38D, the full 128-bit tag
KCV_BYTES = 3  # PKCS#11 v3.1, CKA_CHECK_VALUE
MKEK_ID_BYTES = 16  # CKA_ID, random


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """A known plaintext sealed under a key: whoever opens it holds that very key.

    ``ciphertext`` is the ciphertext followed by the 16-byte tag, ``iv`` 12 bytes.
    """

    iv: bytes
    ciphertext: bytes
    aad: bytes
    plaintext: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class WrappedKey:
    """An AES-256 key as it is stored: wrapped under an MKEK, with the canary that proves it.

    ``key_id`` names the key in the handle cache and must be unique for ever.
    ``mkek_id`` is the CKA_ID of the MKEK, 16 bytes; ``wrapped`` is 40 bytes under AES key wrap.
    """

    key_id: str
    mkek_id: bytes
    wrapped: bytes
    canary: Canary


@dataclass(frozen=True, slots=True, kw_only=True)
class Encrypted:
    """What AES-256-GCM made: ``iv`` of 12 bytes, ``ciphertext`` followed by its 16-byte tag."""

    iv: bytes
    ciphertext: bytes


class UnwrapTemplate(StrEnum):
    """How an MKEK binds the keys that it unwraps.

    ``NONE``: nothing; whoever has the PIN can unwrap a pKEK so that it may be read.
    ``ROTATABLE``: a pKEK cannot be read, and may leave only wrapped by a key that the
    security officer marked as trusted: the MKEK can be replaced by rewrapping.
    ``STRICT``: a pKEK cannot be read and never leaves; replacing the MKEK means new pKEKs.
    """

    NONE = "none"
    ROTATABLE = "rotatable"
    STRICT = "strict"


@dataclass(frozen=True, slots=True, kw_only=True)
class MKEKInfo:
    """An MKEK on the token: CKA_ID (16 bytes), label, key check value, what binds the keys it unwraps.

    ``kcv`` is 3 bytes, or empty where the token gives none; it labels a key and proves nothing.
    """

    mkek_id: bytes
    label: str
    kcv: bytes
    template: UnwrapTemplate = UnwrapTemplate.NONE
