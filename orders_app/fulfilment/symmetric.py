"""Symmetric keys: random bytes from the token, stored as a secret."""

from collections.abc import Sequence

from keepsite.keyring import services as keyring
from orders_app.fulfilment.made import Made, sealed_secret
from orders_app.models import Order
from orders_app.wishes import Wish
from secrets_app.choices import SecretType

BITS_PER_BYTE = 8


def make(order: Order) -> Made:
    """Make the key of ``order``: three PKCS#11 calls with a warm handle cache; nothing is written.

    Raises:
        Unavailable: no token could serve; the order waits.
        KeyMaterialError: the project's pKEK does not open.
    """
    (made,) = make_all([order])
    return made


def make_all(orders: Sequence[Order]) -> list[Made]:
    """Make the keys of ``orders``, in their order: one PKCS#11 call for all, and two for each.

    Raises:
        As ``make``, for whichever of them it is.
    """
    wishes = [Wish.of(order.meta) for order in orders]
    pkeks = {name: keyring.sealing_key(name) for name in {order.project.external_id for order in orders}}
    keys = keyring.random_keys([wish.bit_length // BITS_PER_BYTE for wish in wishes])
    return [
        Made(
            secrets=(
                sealed_secret(order, wish, SecretType.SYMMETRIC, key, pkek=pkeks[order.project.external_id]),
            )
        )
        for order, wish, key in zip(orders, wishes, keys, strict=True)
    ]
