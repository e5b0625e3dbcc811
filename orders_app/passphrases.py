"""Pass phrases of ordered key pairs: sealed until the worker needs them, gone when it is done."""

from keepsite.keyring import services as keyring
from keepsite.keyring.models import ProjectKEK
from keepsite.keyring.sealed import Plaintext, SealContext
from orders_app.models import Order, OrderPassphrase

VERSION = 1


def seal_passphrase(order: Order, passphrase: Plaintext, *, pkek: ProjectKEK) -> OrderPassphrase:
    """The row that keeps a pass phrase for the worker, not inserted yet.

    Raises:
        Unavailable: no token could serve.
    """
    sealed = keyring.seal(passphrase, pkek=pkek, context=_context(order))
    return OrderPassphrase.holding(sealed, order=order)


def open_passphrase(order: Order) -> Plaintext | None:
    """The pass phrase of an order that came with one.

    Raises:
        Unavailable: no token could serve.
        KeyMaterialError: it does not open.
    """
    row = OrderPassphrase.objects.select_related("pkek__mkek", "pkek__project").filter(order=order).first()
    if row is None:
        return None
    return keyring.open_sealed(row.sealed, pkek=row.pkek, context=_context(order))


def _context(order: Order) -> SealContext:
    return SealContext(
        project_id=order.project.external_id, secret_id=order.id, version=VERSION, kind="order"
    )
