from dataclasses import dataclass, field
from typing import Literal, NoReturn

from keepsite.keyring.canonical import canonical_bytes


class Plaintext:
    """Secret bytes on their way between a request and the HSM.

    Prints as its length, refuses pickling, and compares only by identity: it
    cannot slip into a log, a message or a cache key.
    """

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        """The bytes themselves; call it where they are used, and nowhere earlier."""
        return self._value

    def __len__(self) -> int:
        return len(self._value)

    def __repr__(self) -> str:
        return f"<Plaintext {len(self._value)} bytes>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("Plaintext cannot be pickled: secret bytes stay in the process")


@dataclass(frozen=True, slots=True, kw_only=True)
class SealContext:
    """Where a payload belongs; sealed with it, so it opens nowhere else."""

    project_id: str  # the external one
    secret_id: str  # or whatever else of ours it belongs to
    version: int
    kind: Literal["secret", "order", "audit", "audit-removal"] = "secret"

    def aad(self, pkek_id: str) -> bytes:
        """AAD of a payload, in every format: domain with the kind, project, secret, version, pKEK.

        Moving a ciphertext to another secret, project or version, or under another
        pKEK's row, makes the tag fail.
        """
        return canonical_bytes(
            f"keepsite:{self.kind}:v1", self.project_id, self.secret_id, str(self.version), pkek_id
        )

    def data_key_aad(self, pkek_id: str) -> bytes:
        """AAD of the data key of format 2: its own domain, so that it never passes for a payload."""
        return canonical_bytes(
            f"keepsite:{self.kind}-data-key:v2",
            *(self.project_id, self.secret_id, str(self.version), pkek_id),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A payload under a pKEK, as it is stored.

    Format 1: AES-256-GCM by the HSM under the pKEK ``pkek_id``; ``iv`` is 12 random
    bytes, ``ciphertext`` is as long as the plaintext plus the 16 bytes of tag, AAD as
    in ``SealContext.aad``.

    Format 2, for what the token does not take in one call: ``iv`` and the first 48
    bytes of ``ciphertext`` are a random 32-byte data key, sealed by the HSM under the
    pKEK like a payload of format 1 with ``SealContext.data_key_aad``; then 12 bytes of IV
    and the payload with its 16 bytes of tag, AES-256-GCM in software under the data key,
    AAD as in format 1.  A data key seals one payload and is made anew with it.

    Readers handle every format ever written; an unknown one is refused.  Fields are
    only ever added at the end.

    Source: NIST SP 800-38D (GCM), §8.2.2 (random IVs).
    """

    format: int
    pkek_id: str
    iv: bytes
    ciphertext: bytes = field(repr=False)
    size_bytes: int  # of the plaintext
