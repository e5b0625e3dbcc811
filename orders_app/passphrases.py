"""Pass phrases of ordered key pairs: sealed until the worker needs them, gone when it is done."""

from keepsite.keyring import services as keyring
from keepsite.keyring.models import ProjectKEK
from keepsite.keyring.sealed import Plaintext
from orders_app.models import Order, OrderPassphrase


def seal_passphrase(order: Order, passphrase: Plaintext, *, pkek: ProjectKEK) -> OrderPassphrase:
    """The row that keeps a pass phrase for the worker, not inserted yet.

    Raises:
        Unavailable: no token could serve.
    """
    context = OrderPassphrase(order=order).seal_context
    return OrderPassphrase.holding(keyring.seal(passphrase, pkek=pkek, context=context), order=order)


def open_passphrase(order: Order) -> Plaintext | None:
    """The pass phrase of an order that came with one.

    Raises:
        Unavailable: no token could serve.
        KeyMaterialError: it does not open.
    """
    row = OrderPassphrase.objects.select_related("pkek__mkek", "pkek__project").filter(order=order).first()
    if row is None:
        return None
    row.order = order
    return keyring.open_sealed(row.sealed, pkek=row.pkek, context=row.seal_context)


def forget_passphrase(order: Order) -> None:
    """Remove it, inside the caller's transaction: once the order has ended nobody needs it."""
    if order.type == Order.Type.ASYMMETRIC:
        OrderPassphrase.objects.filter(order=order).delete()
