"""Brings messages on their way: each is tried until it arrives, or is given up."""

import time
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.utils import timezone

from keepsite import writes
from keepsite.notices import mail, webhook
from keepsite.notices.errors import NotSent
from keepsite.notices.events import as_json
from keepsite.notices.models import Message

log = structlog.get_logger(__name__)

AT_ONCE = 50
ATTEMPTS = 12
FIRST_PAUSE = timedelta(minutes=1)  # doubled after each attempt
LONGEST_PAUSE = timedelta(hours=1)


def send_due(deadline: float, *, now: datetime | None = None) -> bool:
    """Try every message that is due, the oldest first, until ``deadline`` (monotonic); whether none is left.

    A message that was sent just before this process died is sent again, under the same id.

    Raises:
        Unavailable, DatabaseError: the database is away.
    """
    moment = now or timezone.now()
    due = Message.objects.filter(state=Message.State.WAITING, next_at__lte=moment).order_by("next_at", "id")
    for message in due[:AT_ONCE]:
        if time.monotonic() > deadline:
            return False
        _try(message, now=now or timezone.now())
    return not due.exists()


def send(message: Message) -> None:
    """Send it through its channel; nothing is written down.

    Raises:
        NotSent: it did not arrive.
    """
    if message.channel == Message.Channel.EMAIL:
        mail.send(message.events, message_id=message.pk)
    elif settings.NOTICE_WEBHOOK_URL:
        webhook.post(
            settings.NOTICE_WEBHOOK_URL,
            as_json(message.pk, message.events),
            secret=settings.NOTICE_WEBHOOK_SECRET,
            message_id=message.pk,
        )
    else:
        raise NotSent("no webhook is set up any more")


def pause_after(attempts: int) -> timedelta:
    """How long to wait after so many attempts: 1, 2, 4 ... minutes, an hour at most."""
    doubled: timedelta = FIRST_PAUSE * 2 ** (attempts - 1)
    return min(doubled, LONGEST_PAUSE)


def _try(message: Message, *, now: datetime) -> None:
    attempts = message.attempts + 1
    told: dict[str, Any] = {"attempts": attempts}  # Any: columns
    try:
        send(message)
    except NotSent as error:
        told["last_error"] = error.public[:255]
        if attempts >= ATTEMPTS:
            told |= {"state": Message.State.GIVEN_UP, "ended_at": now}
        else:
            told["next_at"] = now + pause_after(attempts)
        log.warning(
            "notices.message_given_up" if attempts >= ATTEMPTS else "notices.message_not_sent",
            channel=message.channel,
            message_id=message.pk,
            attempts=attempts,
            reason=error.public,
        )
    else:
        told |= {"state": Message.State.SENT, "ended_at": now, "last_error": ""}
    rows = Message.objects.filter(pk=message.pk)
    writes.commit(lambda: rows.update(**told), committed=rows.filter(attempts=attempts).exists)
