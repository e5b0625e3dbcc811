"""The relay: brings waiting orders, and rotations, from the database to the broker."""

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain
from typing import Protocol

import structlog
from celery import Celery
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections, connection
from django.db.models import Case, CharField, Value, When
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError

from keepsite import writes
from keepsite.env import broker_folders
from keepsite.errors import Unavailable
from keepsite.ids import new_id
from keepsite.keyring.rotation.runs import due_for_workers, hand_out
from keepsite.keyring.tasks import RUN
from keepsite.schedule.services import due_jobs
from orders_app import dead_letters
from orders_app.figures import WaitingFigures, queue_depths, waiting_figures
from orders_app.keystone_events import standing_alarm
from orders_app.limits import MOST_TOGETHER, OrderLimits
from orders_app.models import Order
from orders_app.tasks import FULFIL, RUN_JOB
from orders_app.wakeup import Nudges

log = structlog.get_logger(__name__)

BATCH = 100
# Orders that no worker has taken yet: of a longer queue, copies would be handed out.
ON_THEIR_WAY = 400
FEWEST_ON_THEIR_WAY = 10
# From one hand-out to the next: what is placed meanwhile goes together, as one message and one claim.
PACE_S = 0.1
CONFIRM_TIMEOUT_S = 5
LONGEST_PAUSE_S = 10.0
TEND_S = 5.0  # scheduled jobs and dead letters are looked for, and figures told, this often


class Report(Protocol):
    """Who wants to know how the orders are doing, and whether the alarm about Keystone's deletions stands."""

    def __call__(self, waiting: WaitingFigures, depths: dict[str, int] | None, *, is_alarmed: bool) -> None:
        """As it is now; no depths while the broker does not answer."""


class Relay:
    """Hands ids of due orders to the broker, oldest first; any number of relays may run.

    An order counts as handed out only when the broker has confirmed it.  What no
    worker claims within ``handout_s`` is handed out again, so the broker may lose
    everything it holds.
    """

    def __init__(self, app: Celery, limits: OrderLimits, *, report: Report | None = None) -> None:
        self.app = app
        self.limits = limits
        self._report_to = report
        self._reported_at = -TEND_S
        self._window = ON_THEIR_WAY
        self._tended_at = 0.0

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set; database and broker may come and go."""
        for folder in broker_folders(settings.CELERY_BROKER_TRANSPORT_OPTIONS):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        nudges = Nudges(settings.RELAY_PIPE)
        failures = 0
        try:
            while not stop.is_set():
                began = time.monotonic()
                try:
                    try:
                        handed_out = self.hand_out(timezone.now())
                        self.hand_out_runs(timezone.now())
                        self._tend()
                    finally:
                        self._report()  # while the broker is away too
                    failures = 0
                except Exception as error:  # the edge: a relay that ends leaves orders waiting
                    failures += 1
                    if isinstance(error, (BrokerError, OSError, DatabaseError, Unavailable)):
                        log.warning("relay.waiting", error=type(error).__name__, failures=failures)
                    else:
                        log.exception("relay.failed", failures=failures)
                    connection.close()
                    handed_out = 0
                close_old_connections()
                if handed_out < BATCH:
                    nudges.wait(min(self.limits.poll_s * max(failures, 1), LONGEST_PAUSE_S))
                if 0 < handed_out < BATCH:
                    stop.wait(began + PACE_S - time.monotonic())
        finally:
            nudges.close()

    def hand_out(self, now: datetime) -> int:
        """Hand out one batch; return how many orders the broker took word of.

        Raises:
            BrokerError, OSError: the broker did not take them all; the rest is due again at once.
            DatabaseError, Unavailable: the database is away.
        """
        mine = self._take(now)
        left = list(mine)
        try:
            with self.app.producer_or_acquire() as producer:
                while left:
                    self.app.send_task(
                        FULFIL,
                        args=(mine[left[0]][0],),
                        producer=producer,
                        retry=False,
                        confirm_timeout=CONFIRM_TIMEOUT_S,
                    )
                    left.pop(0)
        finally:
            if left:
                self._give_back(left)
        return sum(map(len, mine.values()))

    def hand_out_runs(self, now: datetime) -> int:
        """Hand out rotations that wait for a worker, or whose worker died; return how many.

        Raises:
            BrokerError, OSError: the broker did not take one; it is due again within seconds.
            DatabaseError, Unavailable: the database is away.
        """
        mine = [run_id for run_id in due_for_workers(now) if hand_out(run_id, now)]
        for run_id in mine:
            self.app.send_task(RUN, args=(run_id,), retry=False, confirm_timeout=CONFIRM_TIMEOUT_S)
        return len(mine)

    def _tend(self) -> None:
        """Now and then: hand out scheduled jobs, keep dead letters, put back what is to be replayed."""
        if time.monotonic() < self._tended_at + TEND_S:
            return
        for name in due_jobs():
            self.app.send_task(RUN_JOB, args=(name,), retry=False, confirm_timeout=CONFIRM_TIMEOUT_S)
        dead_letters.publish_replays(self.app)
        dead_letters.collect(self.app)
        self._tended_at = time.monotonic()

    def _report(self) -> None:
        """Now and then: tell whoever wants to know how the orders are doing."""
        if self._report_to is None or time.monotonic() < self._reported_at + TEND_S:
            return
        self._report_to(waiting_figures(), queue_depths(self.app), is_alarmed=standing_alarm() is not None)
        self._reported_at = time.monotonic()

    def _take(self, now: datetime) -> Mapping[str, Sequence[str]]:
        """Ids of due orders that no other relay takes at the same time, by what they are handed out under.

        One message stands for each group: it names the first.
        """
        since = now - timedelta(seconds=self.limits.handout_s)
        due = Order.objects.due(now, handed_out_before=since)
        wanted = due.order_by("not_before", "id").only("id", "type", "attempts", "handed_out_at")[:BATCH]
        groups = _grouped(self._room_for(list(wanted), since, now))
        if not groups:
            return {}
        group_of = Case(
            *(When(id__in=ids, then=Value(name)) for name, ids in groups.items()), output_field=CharField()
        )
        wanted_ids = list(chain.from_iterable(groups.values()))
        taken = Order.objects.filter(id__in=wanted_ids, handed_out_by__in=groups)
        writes.commit_statement(
            lambda: due.filter(id__in=wanted_ids).update(handed_out_by=group_of, handed_out_at=now),
            committed=taken.exists,
        )
        mine: dict[str, list[str]] = {}
        for name, order_id in taken.order_by("not_before", "id").values_list("handed_out_by", "id"):
            mine.setdefault(name, []).append(order_id)
        return mine

    def _room_for(self, wanted: Sequence[Order], since: datetime, now: datetime) -> Sequence[Order]:
        """As many of ``wanted`` as workers are likely to take before they would be handed out again."""
        if not wanted:
            return []
        if any(order.handed_out_at is not None for order in wanted):  # nobody took them: too much for now
            self._window = max(FEWEST_ON_THEIR_WAY, self._window // 2)
        else:
            self._window = min(ON_THEIR_WAY, self._window + MOST_TOGETHER)
        on_their_way = Order.objects.unclaimed(now).filter(handed_out_at__gte=since).count()
        return wanted[: max(0, self._window - on_their_way)]

    def _give_back(self, groups: Collection[str]) -> None:
        given_back = Order.objects.filter(handed_out_by__in=groups, status=Order.Status.PENDING)
        writes.commit_statement(
            lambda: given_back.update(handed_out_at=None),
            committed=lambda: not given_back.exclude(handed_out_at=None).exists(),
        )


def _grouped(orders: Sequence[Order]) -> Mapping[str, Sequence[str]]:
    """Fresh keys together, all others alone, each group under a name of its own."""
    fresh = [order.id for order in orders if order.type == Order.Type.KEY and not order.attempts]
    alone = [order.id for order in orders if order.type != Order.Type.KEY or order.attempts]
    together = [fresh[at : at + MOST_TOGETHER] for at in range(0, len(fresh), MOST_TOGETHER)]
    return {new_id(): group for group in (*together, *([order_id] for order_id in alone))}
