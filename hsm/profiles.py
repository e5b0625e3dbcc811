"""What is particular about each kind of HSM, as data; one field each may be overridden in the configuration.

Sources: PKCS#11 v3.1 for the numbers of the standard; for the others the vendors' own documentation of their
modules (Thales Luna 7, AWS CloudHSM Client SDK 5, Entrust nShield 13, Utimaco CryptoServer).  Only SoftHSM is
at hand: what each of the others still has to confirm stands in docs/operators/hsm-profiles.md.
"""

from dataclasses import dataclass
from enum import StrEnum

from hsm.keys import GCM_IV_BYTES

CKM_AES_KEY_GEN = 0x1080
CKM_AES_GCM = 0x1087
CKM_AES_KEY_WRAP = 0x2109  # RFC 3394
_CKM_LUNA_AES_KW = 0x8000_0170  # Luna's own number for RFC 3394
_CKM_CLOUDHSM_AES_KEY_WRAP_NO_PAD = 0x8000_2109  # CloudHSM's own number for RFC 3394

# CK_MECHANISM_INFO flags, PKCS#11 v3.1
_CKF_ENCRYPT, _CKF_DECRYPT, _CKF_GENERATE, _CKF_WRAP, _CKF_UNWRAP = 0x100, 0x200, 0x8000, 0x2_0000, 0x4_0000
_USES = {
    _CKF_ENCRYPT: "encrypt",
    _CKF_DECRYPT: "decrypt",
    _CKF_GENERATE: "generate keys",
    _CKF_WRAP: "wrap",
    _CKF_UNWRAP: "unwrap",
}

_BY_RFC_3394 = frozenset({CKM_AES_KEY_WRAP, _CKM_LUNA_AES_KW, _CKM_CLOUDHSM_AES_KEY_WRAP_NO_PAD})
_CAUTIOUS_BYTES = 16_000  # fits into the smallest limit known, CloudHSM's 16,224 bytes with the tag
_KEY_OBJECT_BYTES = 512  # an AES-256 key and its attributes; no vendor tells, so a guess to be overridden


class IVSource(StrEnum):
    """Who makes the IV of an encryption.

    ``HOST``: this process, by the operating system's generator; no call.
    ``HSM``: the token, by C_GenerateRandom; one call for 64 IVs.
    ``INTERNAL``: the token, inside the encryption, as FIPS modes demand; no call.
    """

    HOST = "host"
    HSM = "hsm"
    INTERNAL = "internal"


class IVPlace(StrEnum):
    """Where a token that makes the IV tells it.

    ``END``: behind ciphertext and tag, and it must not be given one (Luna in FIPS mode).
    ``PARAMETER``: written into the zero bytes that it is given as IV (CloudHSM).
    """

    END = "end"
    PARAMETER = "parameter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One kind of HSM.

    ``wrap_mechanism`` wraps and unwraps pKEKs by AES key wrap (RFC 3394), ``encrypt_mechanism`` is AES-GCM,
    ``generate_mechanism`` makes AES keys.  ``internal_iv_bytes`` and ``internal_iv_at`` count only with an
    ``INTERNAL`` IV.  Payloads above ``max_single_part_bytes`` do not fit into one call.
    ``session_object_bytes`` is about what an unwrapped pKEK takes of the token's memory.
    """

    name: str
    wrap_mechanism: int = CKM_AES_KEY_WRAP
    encrypt_mechanism: int = CKM_AES_GCM
    generate_mechanism: int = CKM_AES_KEY_GEN
    iv_source: IVSource = IVSource.HOST
    internal_iv_bytes: int = 16
    internal_iv_at: IVPlace = IVPlace.END
    unwrap_needs_value_len: bool = False
    read_write_sessions: bool = True
    max_single_part_bytes: int = _CAUTIOUS_BYTES
    session_object_bytes: int = _KEY_OBJECT_BYTES

    @property
    def wraps_by_rfc_3394(self) -> bool:
        """Whether it is known that what the token wraps can be unwrapped by RFC 3394 elsewhere."""
        return self.wrap_mechanism in _BY_RFC_3394

    @property
    def uses(self) -> dict[int, int]:
        """The mechanisms needed and what for, as flags of CK_MECHANISM_INFO."""
        return {
            self.generate_mechanism: _CKF_GENERATE,
            self.encrypt_mechanism: _CKF_ENCRYPT | _CKF_DECRYPT,
            self.wrap_mechanism: _CKF_WRAP | _CKF_UNWRAP,
        }


def words_of(flags: int) -> str:
    """Return what flags of CK_MECHANISM_INFO let one do, for a person to read."""
    return " and ".join(word for flag, word in _USES.items() if flags & flag)


PROFILES = {
    profile.name: profile
    for profile in (
        Profile(name="softhsm", max_single_part_bytes=1 << 20),
        Profile(name="generic"),
        # Luna outside FIPS mode takes the caller's IV: iv_source = "host" there.  Firmware before 7.9.3 wants
        # the key's length on unwrap; later ones take it.
        Profile(
            name="luna",
            wrap_mechanism=_CKM_LUNA_AES_KW,
            iv_source=IVSource.INTERNAL,
            unwrap_needs_value_len=True,
        ),
        # CloudHSM takes no IV from outside and no read-only sessions.  Its session keys live on one HSM of
        # the cluster: a handle that is gone is a cache miss, as everywhere.
        Profile(
            name="cloudhsm",
            wrap_mechanism=_CKM_CLOUDHSM_AES_KEY_WRAP_NO_PAD,
            iv_source=IVSource.INTERNAL,
            internal_iv_bytes=GCM_IV_BYTES,
            internal_iv_at=IVPlace.PARAMETER,
        ),
        Profile(name="nshield"),
        Profile(name="utimaco"),
    )
}
