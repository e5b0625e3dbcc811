"""Symmetric keys: random bytes from the token, stored as a secret."""

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
    wish = Wish.of(order.meta)
    pkek = keyring.sealing_key(order.project.external_id)
    key = keyring.random_key(wish.bit_length // BITS_PER_BYTE)
    return Made(secrets=(sealed_secret(order, wish, SecretType.SYMMETRIC, key, pkek=pkek),))
