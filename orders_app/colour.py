"""Workers follow their node's colour: while it is green and up they take messages; else they only finish."""

from contextlib import ExitStack
from typing import Any

import structlog
from celery import bootsteps
from celery.worker import state
from celery.worker.consumer.tasks import Tasks
from django.conf import settings

from keepsite.nodes import state_file
from keepsite.nodes.in_flight import InFlight

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 1.0
QUEUE = settings.CELERY_TASK_DEFAULT_QUEUE


class FollowColour(bootsteps.StartStopStep):
    """Looks at the node's state file once a second; starts and stops taking messages, without a restart.

    While the worker takes messages, or still holds one, it is counted among the node's
    busy workers, which ``node_colour wait-drained`` waits for.
    """

    requires = (Tasks,)

    def __init__(self, consumer: Any, **options: Any) -> None:  # Any: Celery's consumer and options
        super().__init__(consumer, **options)
        self._busy = InFlight(settings.NODE_WORKERS)
        self._counted = ExitStack()
        self._is_counted = False
        self._timer: Any = None  # Any: Celery's timer entry

    def start(self, consumer: Any) -> None:  # Any: Celery's consumer
        """Before the first message of this connection: take none if the node is out of service."""
        self._follow(consumer)
        self._timer = consumer.timer.call_repeatedly(
            LOOK_EVERY_S, lambda: consumer.call_soon(self._follow, consumer)
        )

    def stop(self, consumer: Any) -> None:  # noqa: ARG002  # Any: Celery's consumer
        """With the connection; another one starts anew."""
        if self._timer is not None:
            self._timer.cancel()
        self._count(is_busy=False)

    def _follow(self, consumer: Any) -> None:  # Any: Celery's consumer
        serves = state_file.takes_work(settings.NODE_STATE_FILE)
        takes = QUEUE in consumer.app.amqp.queues.consume_from
        if serves and not takes:
            consumer.add_task_queue(QUEUE)
            log.info("worker.takes_messages")
        elif takes and not serves:
            consumer.cancel_task_queue(QUEUE)
            log.info("worker.takes_no_messages", held=len(state.reserved_requests))
        self._count(is_busy=serves or bool(state.reserved_requests))

    def _count(self, *, is_busy: bool) -> None:
        if is_busy and not self._is_counted:
            self._counted.enter_context(self._busy)
        elif not is_busy and self._is_counted:
            self._counted.close()
        self._is_counted = is_busy
