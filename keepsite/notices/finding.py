"""Brings the notices up to what there is cause for: raised, repeated, resolved."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from django.conf import settings

from keepsite import writes
from keepsite.ids import new_id
from keepsite.notices.causes.words import Cause
from keepsite.notices.events import Event, Happening, event
from keepsite.notices.looking import Found, look
from keepsite.notices.models import OPEN, TEXT_CHARS, Message, Notice

log = structlog.get_logger(__name__)

EVENTS_PER_MESSAGE = 50
_CHANGING = ("text", "urgency", "path", "told_at", "told_count", "resolved_at", "open_marker")


@dataclass(slots=True, kw_only=True)
class _Changes:
    """What is to be written, and what is to be told of it."""

    new: list[Notice] = field(default_factory=list)
    changed: list[Notice] = field(default_factory=list)
    told: list[tuple[Happening, Notice]] = field(default_factory=list)


def find(now: datetime) -> int:
    """Look at every source and write what changed, with the messages about it; how many are open now.

    Whoever calls holds the job's lease, so that it is done by one at a time; should two
    meet nevertheless, the second one's notices of the same cause are refused and all it
    wrote with them.

    Raises:
        Unavailable, DatabaseError: the database is away, or another was at it; nothing was written.
    """
    found = look(now)
    changes = _compared(found, Notice.objects.filter(OPEN), now=now)
    if changes.new or changes.changed:
        messages = list(_messages(changes.told, now))
        marker = changes.new[0].pk if changes.new else ""

        def store() -> None:
            Notice.objects.bulk_create(changes.new)
            Notice.objects.bulk_update(changes.changed, _CHANGING, batch_size=200)
            Message.objects.bulk_create(messages)

        writes.commit(store, committed=lambda: _is_written(messages, marker))
        for happening, notice in changes.told:
            told = f"notice.{happening.value}"
            log.warning(told, kind=notice.kind, notice_id=notice.pk, text=notice.text)
    return Notice.objects.filter(OPEN).count()


def _is_written(messages: list[Message], marker: str) -> bool:
    if messages:
        return Message.objects.filter(pk=messages[0].pk).exists()
    return bool(marker) and Notice.objects.filter(pk=marker).exists()


def _compared(found: Found, known: Iterable[Notice], *, now: datetime) -> _Changes:
    changes = _Changes()
    missing = dict(found.causes)
    repeat = timedelta(hours=settings.NOTICE_REPEAT_H)
    for notice in known:
        cause = missing.pop(notice.key, None)
        if cause is not None:
            _go_on(notice, cause, changes, now=now, repeat=repeat)
        elif notice.kind not in found.away:
            notice.resolved_at, notice.open_marker = now, None
            changes.changed.append(notice)
            changes.told.append((Happening.RESOLVED, notice))
    for cause in missing.values():
        notice = Notice(id=new_id(), key=cause.key, kind=cause.kind, raised_at=now, told_at=now)
        _describe(notice, cause)
        changes.new.append(notice)
        changes.told.append((Happening.RAISED, notice))
    changes.told.sort(key=lambda told: (told[0] is Happening.RESOLVED, told[1].urgency))
    return changes


def _go_on(notice: Notice, cause: Cause, changes: _Changes, *, now: datetime, repeat: timedelta) -> None:
    """The cause is still there: note how it is now, and tell of it again if it is worse or long ago."""
    before = (notice.text, notice.urgency, notice.path)
    is_worse = cause.urgency < notice.urgency
    is_due = not notice.acknowledged_by and now - notice.told_at >= repeat > timedelta(0)
    _describe(notice, cause)
    if is_worse or is_due:
        notice.told_at, notice.told_count = now, notice.told_count + 1
        changes.told.append((Happening.WORSENED if is_worse else Happening.REPEATED, notice))
    if is_worse or is_due or before != (notice.text, notice.urgency, notice.path):
        changes.changed.append(notice)


def _describe(notice: Notice, cause: Cause) -> None:
    text = " ".join(cause.text.split())
    notice.text = text if len(text) <= TEXT_CHARS else f"{text[: TEXT_CHARS - 3]}..."
    notice.urgency = cause.urgency
    notice.path = cause.path if len(cause.path) <= TEXT_CHARS else ""


def _messages(told: list[tuple[Happening, Notice]], now: datetime) -> Iterator[Message]:
    """For each channel that is set up, as many messages as the events need."""
    events: list[Event] = [event(happening, notice) for happening, notice in told]
    for channel in channels():
        for start in range(0, len(events), EVENTS_PER_MESSAGE):
            yield Message(
                id=new_id(),
                channel=channel,
                events=events[start : start + EVENTS_PER_MESSAGE],
                created_at=now,
                next_at=now,
            )


def channels() -> tuple[Message.Channel, ...]:
    """Those that the deployment has set up."""
    found = []
    if settings.NOTICE_EMAIL_TO:
        found.append(Message.Channel.EMAIL)
    if settings.NOTICE_WEBHOOK_URL:
        found.append(Message.Channel.WEBHOOK)
    return tuple(found)
