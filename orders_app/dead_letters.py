"""Messages that no worker could take: put aside in the broker, kept in the database, replayed.

RabbitMQ puts aside by itself what was delivered too often (deploy/rabbitmq/policies.json);
a worker puts aside what it cannot read.  Both end in the queue ``keepsite.dead``, and a relay
moves them from there to the database, where operators see them.

Every place is bounded, and what finds it full stays where it was: nothing is dropped to make room.
"""

import hashlib
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from amqp.exceptions import MessageNacked
from celery import Celery
from django.conf import settings
from django.db import IntegrityError
from django.utils import timezone
from kombu import Message
from kombu.exceptions import OperationalError as BrokerError

from keepsite import audit, writes
from keepsite.errors import Conflict, NotFound
from keepsite.ids import new_id
from orders_app import wakeup
from orders_app.models import DeadLetter

log = structlog.get_logger(__name__)

ID_HEADER = "x-keepsite-id"
REASON_HEADER = "x-keepsite-reason"
MAX_BODY_BYTES = 65_536  # of a message that is kept whole; of a larger one the beginning
MAX_HEADERS_CHARS = 16_384
CONFIRM_TIMEOUT_S = 5
CONNECT_TIMEOUT_S = 3
BATCH = 100
MOST_KEPT = 10_000  # rows that nobody has settled; beyond it messages stay in the broker
NAMESPACE = uuid.UUID("8a4c6d0e-52c1-4d7a-9d3b-6d2f5b8a1c70")
DELIVERED_TOO_OFTEN = "RabbitMQ delivered it so often without an answer that it gave up ({reason})."


def put_aside(app: Celery, message: Message, *, reason: str) -> None:
    """Publish ``message`` to the dead letters, with the reason; confirmed on return.

    Raises:
        OSError, the transport's connection errors: the broker did not take it.
        BrokerError: there is no room for it.
    """
    headers = message.headers if isinstance(message.headers, dict) else {}
    with app.producer_or_acquire() as producer, _refusals_told():
        producer.publish(
            message.body,
            headers={**headers, REASON_HEADER: reason, ID_HEADER: new_id()},
            content_type=message.content_type or "application/octet-stream",
            content_encoding=message.content_encoding or "binary",
            exchange=settings.DEAD_LETTER_QUEUE.exchange,
            routing_key=settings.DEAD_LETTER_QUEUE.routing_key,
            declare=[settings.DEAD_LETTER_QUEUE],
            retry=False,
            confirm_timeout=CONFIRM_TIMEOUT_S,
        )


def collect(app: Celery) -> int:
    """Move dead letters from the broker to the database; how many there were, one batch at most.

    A message leaves the broker when its row is committed; one that is delivered again
    finds its row.  None leaves it while as many rows as may be are not settled.

    Raises:
        BrokerError, OSError: the broker is away.
        DatabaseError, Unavailable: the database is away.
    """
    count = 0
    if not has_room():
        return count
    with app.connection_or_acquire() as connection:
        connection.ensure_connection(max_retries=1, timeout=CONNECT_TIMEOUT_S)
        queue = settings.DEAD_LETTER_QUEUE(connection.default_channel)
        queue.declare()
        while count < BATCH and (message := queue.get(no_ack=False)) is not None:
            keep(message)
            message.ack()
            count += 1
    return count


def has_room() -> bool:
    """Whether another message may be kept: operators have settled enough of those before."""
    is_full = DeadLetter.objects.filter(state=DeadLetter.State.KEPT).count() >= MOST_KEPT
    if is_full:
        log.error("dead_letters.full", most=MOST_KEPT)
    return not is_full


def keep(message: Message, *, queue: str = "", reason: str = "") -> DeadLetter:
    """The row of a message, made now unless it is there; by default of one from the dead letters."""
    headers = _as_json(message.headers)
    body = message.body if isinstance(message.body, bytes) else str(message.body).encode()
    letter = DeadLetter(
        id=_id_of(message, body),
        queue=queue or settings.CELERY_TASK_DEFAULT_QUEUE,
        reason=(reason or _reason_of(headers))[:255],
        task=str(headers.get("task", ""))[:255],
        order_id=_order_id_of(message),
        headers=headers,
        content_type=str(message.content_type or "")[:255],
        content_encoding=str(message.content_encoding or "")[:255],
        body=body[:MAX_BODY_BYTES],
        size_bytes=len(body),
    )
    known = DeadLetter.objects.filter(id=letter.id)

    def insert() -> None:
        if not known.exists():
            letter.save(force_insert=True)

    try:
        writes.commit(insert, committed=known.exists)
    except IntegrityError:  # another relay was given the same message
        log.info("dead_letter.kept_by_another", dead_letter_id=letter.id)
    log.error("dead_letter.kept", dead_letter_id=letter.id, reason=letter.reason, task=letter.task)
    return letter


def replay(letter_id: str, *, actor: audit.Actor, reason: str) -> DeadLetter:
    """Have a relay put the message back into the queue of orders; it is there within seconds.

    Raises:
        NotAllowed: ``actor`` is no operator.
        NotFound: there is no such dead letter.
        Conflict: it has been settled, was too large to be kept whole, or was no message to a worker.
    """
    letter, change = _settle(letter_id, DeadLetter.State.REPLAY, actor=actor)
    audit.record("dead_letter.replayed", actor=actor, subject=letter, reason=reason, change=change)
    wakeup.wake_relay()
    return letter


def discard(letter_id: str, *, actor: audit.Actor, reason: str) -> DeadLetter:
    """Note that nothing is to be done about the message; its row stays as a record.

    Raises:
        NotAllowed: ``actor`` is no operator.
        NotFound: there is no such dead letter.
        Conflict: it has been settled.
    """
    letter, change = _settle(letter_id, DeadLetter.State.DISCARDED, actor=actor)
    audit.record("dead_letter.discarded", actor=actor, subject=letter, reason=reason, change=change)
    return letter


def is_replayable(letter: DeadLetter) -> bool:
    """Whether it was a message to a worker and was kept whole."""
    return letter.queue == settings.CELERY_TASK_DEFAULT_QUEUE and letter.size_bytes <= MAX_BODY_BYTES


def publish_replays(app: Celery) -> int:
    """Put back into the queue what operators want replayed; how many.

    A relay killed in between publishes again: claims make that harmless.

    Raises:
        BrokerError, OSError: the broker did not take them all.
    """
    letters = DeadLetter.objects.filter(state=DeadLetter.State.REPLAY).order_by("arrived_at")[:BATCH]
    count = 0
    for letter in letters:
        (queue,) = settings.CELERY_TASK_QUEUES
        with app.producer_or_acquire() as producer, _refusals_told():
            producer.publish(
                bytes(letter.body),
                headers=_without_ours(letter.headers),
                content_type=letter.content_type,
                content_encoding=letter.content_encoding,
                exchange=queue.exchange,
                routing_key=queue.routing_key,
                declare=[queue],
                retry=False,
                confirm_timeout=CONFIRM_TIMEOUT_S,
            )
        replayed = DeadLetter.objects.filter(id=letter.id, state=DeadLetter.State.REPLAYED)
        writes.commit(
            lambda letter=letter: DeadLetter.objects.filter(  # type: ignore[misc]  # a lambda with a default
                id=letter.id, state=DeadLetter.State.REPLAY
            ).update(state=DeadLetter.State.REPLAYED),
            committed=replayed.exists,
        )
        count += 1
    return count


@contextmanager
def _refusals_told() -> Iterator[None]:
    """Raise BrokerError for what amqp says of a queue that is full: it is no failure of the connection."""
    try:
        yield
    except MessageNacked as error:
        raise BrokerError("The broker has no room for this message.") from error


def _settle(
    letter_id: str, state: DeadLetter.State, *, actor: audit.Actor
) -> tuple[DeadLetter, audit.Change]:
    audit.require_operator(actor)
    letter = DeadLetter.objects.filter(id=letter_id).first()
    if letter is None:
        raise NotFound(f"There is no dead letter {letter_id}.")
    if state is DeadLetter.State.REPLAY and letter.queue != settings.CELERY_TASK_DEFAULT_QUEUE:
        raise Conflict("Only messages to workers can be replayed: Keystone's exchange is Keystone's.")
    if state is DeadLetter.State.REPLAY and not letter.is_whole:
        raise Conflict(
            f"Only the beginning of its {letter.size_bytes} bytes was kept: it cannot be replayed."
        )
    now = timezone.now()
    rows = DeadLetter.objects.filter(id=letter_id)

    def move() -> None:
        if not rows.filter(state=DeadLetter.State.KEPT).update(state=state, settled_at=now):
            raise Conflict("This dead letter has been replayed or discarded already.")

    writes.commit(move, committed=rows.filter(settled_at=now).exists)
    letter.refresh_from_db()
    change = audit.Change(
        before={"state": DeadLetter.State.KEPT.value, "settled_at": None},
        after={"state": state.value, "settled_at": now},
    )
    return letter, change


def _id_of(message: Message, body: bytes) -> str:
    """The same for every delivery of one message, another for every message."""
    headers = message.headers if isinstance(message.headers, dict) else {}
    known = headers.get(ID_HEADER)
    if isinstance(known, str):
        return str(uuid.uuid5(NAMESPACE, known))
    death = json.dumps(headers.get("x-death"), default=str, sort_keys=True)
    correlation_id = str(message.properties.get("correlation_id", ""))
    digest = hashlib.sha256(body).hexdigest()
    return str(uuid.uuid5(NAMESPACE, f"{correlation_id} {digest} {death}"))


def _reason_of(headers: dict[str, Any]) -> str:  # Any: JSON values
    if reason := headers.get(REASON_HEADER):
        return str(reason)
    deaths = headers.get("x-death")
    death = deaths[0] if isinstance(deaths, list) and deaths and isinstance(deaths[0], dict) else {}
    return DELIVERED_TOO_OFTEN.format(reason=death.get("reason", "no reason given"))


def _order_id_of(message: Message) -> str:
    """The id that an order's message holds; nothing for others."""
    try:
        (order_id,) = message.decode()[0]
    except Exception:  # noqa: BLE001  # it is here because something is wrong with it
        return ""
    return order_id if isinstance(order_id, str) and len(order_id) <= len(new_id()) else ""


def _as_json(headers: object) -> dict[str, Any]:  # Any: JSON values
    """Headers as they can be stored; what JSON does not know becomes its name."""
    if not isinstance(headers, dict):
        return {}
    text = json.dumps({str(name): value for name, value in headers.items()}, default=str)
    if len(text) > MAX_HEADERS_CHARS:
        return {"task": str(headers.get("task", ""))[:255], "cut": f"{len(text)} characters of headers"}
    stored: dict[str, Any] = json.loads(text)
    return stored


def _without_ours(headers: dict[str, Any]) -> dict[str, Any]:  # Any: JSON values
    """The headers that the message came with."""
    added = {ID_HEADER, REASON_HEADER, "x-death", "x-delivery-count"}
    return {
        name: value
        for name, value in headers.items()
        if name not in added and not name.startswith(("x-first-death-", "x-last-death-"))
    }
