"""A client that asks for its order at once hears of its end, if that is near.

castellan, which Nova and Cinder use, asks right after it has ordered and otherwise sleeps
for a second; a worker needs a tenth of one.
"""

import threading
import time
from datetime import datetime

from django.conf import settings

from orders_app.models import Order

FIRST_PAUSE_S = 0.005
LONGEST_PAUSE_S = 0.025


# How many threads of this process may wait at a time; whoever finds no place is answered at once.
_places = threading.BoundedSemaphore(settings.ORDER_WAITERS)


def wait_for_end(order: Order, *, now: datetime) -> Order:
    """``order`` as it is once it has ended, or after KEEPSITE_ORDER_WAIT_S from when it was placed.

    An order that has ended, or is older than that, is returned as it is, and so is any
    other while a quarter of the process's threads wait.  One short look-up each time.
    """
    left_s = settings.ORDER_WAIT_S - (now - order.created_at).total_seconds()
    if order.status != Order.Status.PENDING or left_s <= 0 or not _places.acquire(blocking=False):
        return order
    try:
        deadline = time.monotonic() + min(left_s, settings.ORDER_WAIT_S)
        pause = FIRST_PAUSE_S
        waiting = Order.objects.filter(id=order.id, status=Order.Status.PENDING, deleted_at=None)
        while time.monotonic() < deadline:
            time.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE_S)
            if not waiting.exists():
                order.refresh_from_db()
                break
        return order
    finally:
        _places.release()
