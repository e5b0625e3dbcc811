"""How the orders are doing, in numbers: for the command, the console and metrics."""

import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from celery import Celery
from django.conf import settings
from django.db.models import Count, Min, Q
from django.utils import timezone
from kombu import Queue
from kombu.exceptions import OperationalError as BrokerError

from orders_app.models import DeadLetter, Order
from orders_app.querysets import OrderQuerySet

CONNECT_TIMEOUT_S = 2
ANSWER_TIMEOUT_S = 2
MOST_PROJECTS = 10
MOST_FAULTS = 10
REMEMBERED_S = 10.0
PATIENCE_S = 0.3  # of a page; a broker that is well answers in a tenth of that
ASKING = "keepsite-queue-depths"
Depths = dict[str, int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingFigures:
    """What waits now: cheap, read through the outbox's index."""

    waiting: int
    oldest_s: float  # since it was placed; 0 when nothing waits
    at_work: int  # held by a worker
    paused: int  # given back after a fault, for a pause that lasts
    retried: int  # given back, or claimed anew, at least once
    dead_letters: int  # that nobody has settled


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFigures:
    """All that ``orders_status`` shows of the database; counts every order once."""

    waiting: WaitingFigures
    by_state: dict[str, int]
    waiting_by_age: dict[str, int]
    waiting_by_project: dict[str, int]  # the ten with the most
    faults: dict[str, int]  # why waiting orders were given back, the ten most frequent


AGES = (
    ("under 10 s", timedelta(0), timedelta(seconds=10)),
    ("10 s to 1 min", timedelta(seconds=10), timedelta(minutes=1)),
    ("1 to 10 min", timedelta(minutes=1), timedelta(minutes=10)),
    ("10 min to 1 h", timedelta(minutes=10), timedelta(hours=1)),
    ("over 1 h", timedelta(hours=1), timedelta(days=36_500)),
)


def waiting_figures(now: datetime | None = None) -> WaitingFigures:
    """What waits now: two statements."""
    now = now or timezone.now()
    found = _waiting().aggregate(
        waiting=Count("id"),
        oldest=Min("created_at"),
        at_work=Count("id", filter=Q(lease_until__gte=now)),
        paused=Count("id", filter=Q(not_before__gt=now)),
        retried=Count("id", filter=Q(retries__gt=0) | Q(attempts__gt=1)),
    )
    oldest = found.pop("oldest")
    return WaitingFigures(
        oldest_s=max(0.0, (now - oldest).total_seconds()) if oldest else 0.0,
        dead_letters=DeadLetter.objects.filter(state=DeadLetter.State.KEPT).count(),
        **found,
    )


def order_figures(now: datetime | None = None) -> OrderFigures:
    """Everything; reads the whole table once."""
    now = now or timezone.now()
    by_state = dict.fromkeys(Order.Status.values, 0)
    by_state.update(
        Order.objects.live()
        .order_by()
        .values_list("status")
        .annotate(count=Count("id"))
        .values_list("status", "count")
    )
    ages = _waiting().aggregate(
        **{
            f"age_{number}": Count("id", filter=Q(created_at__lte=now - young, created_at__gt=now - old))
            for number, (_, young, old) in enumerate(AGES)
        }
    )
    faults = _waiting().exclude(last_fault="").order_by().values("last_fault")
    return OrderFigures(
        waiting=waiting_figures(now),
        by_state=by_state,
        waiting_by_age={name: ages[f"age_{number}"] for number, (name, *_) in enumerate(AGES)},
        waiting_by_project=dict(
            _waiting()
            .order_by()
            .values("project__external_id")
            .annotate(count=Count("id"))
            .order_by("-count", "project__external_id")
            .values_list("project__external_id", "count")[:MOST_PROJECTS]
        ),
        faults=dict(
            faults.annotate(count=Count("id"))
            .order_by("-count", "last_fault")
            .values_list("last_fault", "count")[:MOST_FAULTS]
        ),
    )


def queue_depths(app: Celery) -> Depths:
    """Messages that lie ready in each of our queues; None when the broker does not answer within seconds.

    What a worker holds is not among them.
    """
    queues = (*settings.CELERY_TASK_QUEUES, settings.DEAD_LETTER_QUEUE)
    patience = {"read_timeout": ANSWER_TIMEOUT_S, "write_timeout": ANSWER_TIMEOUT_S}
    try:
        with app.connection_for_read(
            connect_timeout=CONNECT_TIMEOUT_S, transport_options=patience
        ) as connection:
            connection.ensure_connection(max_retries=1, timeout=CONNECT_TIMEOUT_S)
            return {queue.name: _depth(queue(connection.default_channel)) for queue in queues}
    except (BrokerError, OSError):
        return None


class RecentDepths:
    """``queue_depths`` for pages: asked beside them, and at most every 10 s, so that none waits long."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked_at = -REMEMBERED_S
        self._answer: Future[Depths] = Future()

    def get(self, app: Celery) -> Depths:
        """As ``queue_depths`` said at most 10 s ago; None too when it takes longer to say than a page may."""
        with self._lock:
            is_due = time.monotonic() >= self._asked_at + REMEMBERED_S
            if is_due:
                self._asked_at, self._answer = time.monotonic(), Future()
                asking = threading.Thread(target=_ask, args=(app, self._answer), daemon=True, name=ASKING)
                asking.start()
            answer = self._answer
        with suppress(TimeoutError):
            return answer.result(PATIENCE_S if is_due else 0)
        return None


def _ask(app: Celery, answer: "Future[Depths]") -> None:
    try:
        answer.set_result(queue_depths(app))
    except Exception as error:  # noqa: BLE001  # raised anew where the answer is read
        answer.set_exception(error)


def _depth(queue: Queue) -> int:
    queue.declare()  # with the arguments it has: nothing changes where it exists
    found: Any = queue.queue_declare(passive=True)  # Any: the transport's answer
    count: int = found.message_count
    return count


def _waiting() -> OrderQuerySet:
    return Order.objects.live().filter(status=Order.Status.PENDING)
