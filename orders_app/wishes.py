"""What an order may ask for, as it is stored: never key material."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from keepsite.api.fields import parse_moment
from keepsite.errors import InvalidInput
from secrets_app.choices import ContentType

# Lengths in bits that some published use of the algorithm takes; XTS keys and HMAC keys are the long ones.
SYMMETRIC = {
    "aes": (64, 128, 192, 256, 384, 512),
    "des": (64, 128, 192, 256),
    "hmacsha1": (64, 128, 192, 256, 512),
    "hmacsha256": (64, 128, 192, 256, 512),
    "hmacsha384": (64, 128, 192, 256, 384, 512, 1024),
    "hmacsha512": (64, 128, 192, 256, 384, 512, 1024),
}
ASYMMETRIC = {
    "rsa": (1024, 2048, 3072, 4096),
    "dsa": (1024, 2048, 3072),  # finding the numbers of a longer one takes minutes
    "ec": (256, 384, 521),  # NIST P-256, P-384, P-521
    "ed25519": (256,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """``meta`` of an order, read back."""

    name: str | None
    algorithm: str  # as the client spelt it
    bit_length: int
    mode: str | None
    expires_at: datetime | None
    content_type: ContentType

    @classmethod
    def of(cls, meta: dict[str, Any]) -> "Wish":  # Any: JSON values, checked when the order was placed
        """What ``meta`` of a stored order says."""
        return cls(
            name=meta["name"],
            algorithm=meta["algorithm"],
            bit_length=meta["bit_length"],
            mode=meta.get("mode"),
            expires_at=None if meta["expiration"] is None else parse_moment(meta["expiration"]),
            content_type=ContentType(meta.get("payload_content_type", ContentType.OCTETS)),
        )

    @property
    def kind(self) -> str:
        """The algorithm in lower case: spellings do not matter."""
        return self.algorithm.lower()


def check(algorithm: str, bit_length: int, offered: dict[str, tuple[int, ...]]) -> None:
    """Refuse when it is ordered what no worker could ever make.

    Raises:
        InvalidInput: names what is accepted.
    """
    lengths = offered.get(algorithm.lower())
    if lengths is None:
        raise InvalidInput(f"algorithm {algorithm!r} is not offered here; accepted are {', '.join(offered)}.")
    if bit_length not in lengths:
        accepted = ", ".join(str(length) for length in lengths)
        raise InvalidInput(
            f"bit_length {bit_length} is not offered for {algorithm}; accepted are {accepted}."
        )
