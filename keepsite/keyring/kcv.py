"""Key check values and key components, for ceremonies in which people hold parts of a master key."""

import hmac
import secrets
from collections.abc import Iterable

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from hsm.keys import AES_256_BYTES, KCV_BYTES
from keepsite.errors import InvalidInput

AES_BLOCK_BYTES = 16
GROUP_DIGITS = 8
FEWEST_COMPONENTS = 2


def key_check_value(key: bytes | bytearray) -> str:
    """Return the key check value of 32 key bytes: 6 hex digits, fit to print.

    The first 3 bytes of the encryption of 16 zero bytes by AES-ECB.  Two random keys
    share one with probability 2**-24, so it finds slips of the pen and proves nothing.

    Source: PKCS#11 v3.1 §4.10.2 (CKA_CHECK_VALUE).
    """
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305  # one block, as the standard says
    return (encryptor.update(bytes(AES_BLOCK_BYTES)) + encryptor.finalize())[:KCV_BYTES].hex().upper()


def new_component() -> bytearray:
    """Return 32 random bytes: one component says nothing about the key."""
    return bytearray(secrets.token_bytes(AES_256_BYTES))


def combined(components: Iterable[bytearray]) -> bytearray:
    """Return the XOR of all components, the key itself.

    Raises:
        InvalidInput: fewer than two, or two that are equal: they would cancel each other out.

    Source: NIST SP 800-57 part 2, split knowledge by XOR.
    """
    parts = list(components)
    if len(parts) < FEWEST_COMPONENTS:
        raise InvalidInput("A key is split among two custodians or more.")
    key = bytearray(AES_256_BYTES)
    for number, part in enumerate(parts):
        if any(hmac.compare_digest(part, other) for other in parts[:number]):
            raise InvalidInput("Two components are equal: each custodian has one of their own.")
        for position, octet in enumerate(part):
            key[position] ^= octet
    return key


def written(component: bytes | bytearray) -> str:
    """Return a component as people copy it: 64 hex digits in groups of 8."""
    digits = component.hex().upper()
    return " ".join(digits[at : at + GROUP_DIGITS] for at in range(0, len(digits), GROUP_DIGITS))


def read_component(text: str) -> bytearray:
    """Return the component that somebody wrote: 64 hex digits; blanks and hyphens do not count.

    Raises:
        InvalidInput: it is not that; the message does not repeat it.
    """
    digits = "".join(text.replace("-", " ").split())
    try:
        component = bytearray.fromhex(digits)
    except ValueError:
        raise InvalidInput("A component is 64 hex digits; this has others among them.") from None
    if len(component) != AES_256_BYTES:
        raise InvalidInput(f"A component is 64 hex digits; this has {len(digits)}.")
    return component


def wipe(*secrets_of_ours: bytearray) -> None:
    """Overwrite with zeros; copies that Python or a library made are out of reach (docs/limits.md)."""
    for secret in secrets_of_ours:
        secret[:] = bytes(len(secret))
