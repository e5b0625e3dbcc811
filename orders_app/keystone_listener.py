"""Consumes Keystone's notifications: a message leaves its queue when what it asks for is committed."""

import threading
from typing import Any

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections, connection
from kombu import Connection, Consumer, Exchange, Message, Queue

from keepsite.errors import InvalidInput, Unavailable
from orders_app import dead_letters
from orders_app.keystone_events import TooManyDeletions, deletion_in, obey, standing_alarm

log = structlog.get_logger(__name__)

QUEUE = "keepsite.keystone"
HEARTBEAT_S = 10
CONNECT_TIMEOUT_S = 3
LONGEST_PAUSE_S = 30.0


class KeystoneListener:
    """One consumer of our own queue on Keystone's exchange; any number may run, on any node."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._failures = 0  # since it listened last

    def run(self, stop: threading.Event) -> None:
        """Listen until ``stop`` is set; broker and database may come and go.

        Raises:
            TooManyDeletions: an alarm stands; the message that raised it is back in the queue.
        """
        if standing_alarm() is not None:
            raise TooManyDeletions
        self._failures = 0
        while not stop.is_set():
            broker = Connection(self._url, heartbeat=HEARTBEAT_S, connect_timeout=CONNECT_TIMEOUT_S)
            lost: tuple[type[BaseException], ...] = (
                *broker.connection_errors,
                *broker.channel_errors,
                OSError,
                DatabaseError,
                Unavailable,
            )
            try:
                with broker:
                    broker.ensure_connection(max_retries=1, timeout=CONNECT_TIMEOUT_S)
                    self._listen(broker, stop)
            except lost as error:
                self._failures += 1
                log.warning("keystone_listener.waiting", error=type(error).__name__, failures=self._failures)
                connection.close()
                stop.wait(min(2.0 ** min(self._failures, 6) / 4, LONGEST_PAUSE_S))

    def _listen(self, broker: Connection, stop: threading.Event) -> None:
        channel = broker.default_channel
        # passive: Keystone makes its exchange, durable or not as it likes
        exchange = Exchange(settings.KEYSTONE_EVENTS_EXCHANGE, "topic", passive=True)
        queue = Queue(
            QUEUE,
            exchange,
            routing_key=f"{settings.KEYSTONE_EVENTS_TOPIC}.info",
            queue_arguments={"x-queue-type": "quorum"},
        )
        with Consumer(channel, queues=[queue], on_message=self._take, prefetch_count=1, accept=["json"]):
            log.info("keystone_listener.listening", exchange=exchange.name)
            self._failures = 0
            while not stop.is_set():
                try:
                    broker.drain_events(timeout=1)
                except TimeoutError:
                    close_old_connections()
                broker.heartbeat_check()

    def _take(self, message: Message) -> None:
        """Acknowledge what is done, what is not for us, and what is kept among the dead letters."""
        try:
            deletion = deletion_in(_decoded(message))
        except InvalidInput as error:
            if not dead_letters.has_room():
                raise Unavailable("Operators must settle dead letters first.") from error
            dead_letters.keep(message, queue=QUEUE, reason=error.public)
        else:
            if deletion is not None:
                obey(deletion)
        message.ack()


def _decoded(message: Message) -> Any:  # Any: JSON values
    try:
        return message.decode()
    except Exception as error:  # decoders raise what they like
        raise InvalidInput(f"Its body cannot be read ({type(error).__name__}).") from error
