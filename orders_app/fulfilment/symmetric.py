"""Symmetric keys: random bytes from the token, stored as a secret."""

from dataclasses import dataclass
from typing import Any

from keepsite.api.fields import parse_moment
from keepsite.errors import InvalidInput
from keepsite.keyring import services as keyring
from keepsite.keyring.sealed import Sealed
from orders_app.models import Order
from secrets_app.choices import ContentType, SecretType
from secrets_app.models import Secret
from secrets_app.services import Description, NewPayload
from secrets_app.services.secrets import new_secret, seal_for

BITS_PER_BYTE = 8
# Lengths in bits that some published use of the algorithm takes; XTS keys and HMAC keys are the long ones.
BIT_LENGTHS = {
    "aes": (64, 128, 192, 256, 384, 512),
    "des": (64, 128, 192, 256),
    "hmacsha1": (64, 128, 192, 256, 512),
    "hmacsha256": (64, 128, 192, 256, 512),
    "hmacsha384": (64, 128, 192, 256, 384, 512, 1024),
    "hmacsha512": (64, 128, 192, 256, 384, 512, 1024),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeSecret:
    """A secret and its sealed payload, ready to be inserted together with the order's end."""

    secret: Secret
    sealed: Sealed


def check(algorithm: str, bit_length: int) -> None:
    """Refuse what no worker could ever make.

    Raises:
        InvalidInput: names what is accepted.
    """
    lengths = BIT_LENGTHS.get(algorithm.lower())
    if lengths is None:
        raise InvalidInput(
            f"algorithm {algorithm!r} is not offered for key orders; accepted are {', '.join(BIT_LENGTHS)}."
        )
    if bit_length not in lengths:
        accepted = ", ".join(str(length) for length in lengths)
        raise InvalidInput(
            f"bit_length {bit_length} is not offered for {algorithm}; accepted are {accepted}."
        )


def make(order: Order) -> MadeSecret:
    """Make the key of ``order``: three PKCS#11 calls with a warm handle cache; nothing is written.

    Raises:
        Unavailable: no token could serve; the order waits.
        KeyMaterialError: the project's pKEK does not open.
    """
    meta: dict[str, Any] = order.meta  # Any: JSON values, checked when the order was placed
    pkek = keyring.sealing_key(order.project.external_id)
    description = Description(
        name=meta["name"],
        secret_type=SecretType.SYMMETRIC,
        algorithm=meta["algorithm"],
        mode=meta.get("mode"),
        bit_length=meta["bit_length"],
        expires_at=None if meta["expiration"] is None else parse_moment(meta["expiration"]),
    )
    secret = new_secret(description, project_id=pkek.project_id, creator_id=order.creator_id)
    payload = NewPayload(
        plaintext=keyring.random_key(meta["bit_length"] // BITS_PER_BYTE),
        content_type=ContentType(meta.get("payload_content_type", ContentType.OCTETS)),
    )
    return MadeSecret(secret=secret, sealed=seal_for(secret, payload, pkek=pkek))
