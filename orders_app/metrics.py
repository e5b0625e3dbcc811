"""How the orders are doing, as metrics: told by every relay, some seconds old."""

from prometheus_client import Gauge

from keepsite.metrics.registry import REGISTRY
from orders_app.figures import WaitingFigures

_GAUGES = {
    field: Gauge(f"keepsite_orders_{name}", text, registry=REGISTRY, multiprocess_mode="livemostrecent")
    for field, name, text in (
        ("waiting", "waiting", "Orders that wait to be made."),
        ("oldest_s", "oldest_waiting_seconds", "Since when the oldest of them does; 0 when none waits."),
        ("at_work", "at_work", "Orders that a worker holds."),
        ("paused", "paused", "Orders given back after a fault, for a pause that lasts."),
        ("retried", "retried", "Waiting orders that were tried before."),
        ("dead_letters", "dead_letters", "Dead letters that nobody has settled."),
    )
}
QUEUE_MESSAGES = Gauge(
    "keepsite_queue_messages",
    "Messages that lie ready in a queue.",
    ["queue"],
    registry=REGISTRY,
    multiprocess_mode="livemostrecent",
)


RETIREMENT_ALARM = Gauge(
    "keepsite_keystone_alarm",
    "1 while Keystone has announced more deleted projects than is usual and no operator has cleared it.",
    registry=REGISTRY,
    multiprocess_mode="livemostrecent",
)


def tell(waiting: WaitingFigures, depths: dict[str, int] | None, *, is_alarmed: bool) -> None:
    """Take in what is so now; queues keep what they had while the broker does not answer."""
    for field, gauge in _GAUGES.items():
        gauge.set(getattr(waiting, field))
    for queue, depth in (depths or {}).items():
        QUEUE_MESSAGES.labels(queue).set(depth)
    RETIREMENT_ALARM.set(is_alarmed)
