"""What is told about notices: the JSON of the webhook, and the same as an e-mail."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from django.conf import settings

from keepsite.notices.models import Notice, Urgency

VERSION = 1
SUBJECT_CHARS = 150
Event = dict[str, Any]  # Any: JSON values


class Happening(StrEnum):
    """What became of a notice."""

    RAISED = "raised"
    WORSENED = "worsened"
    REPEATED = "repeated"
    RESOLVED = "resolved"
    TEST = "test"


def event(happening: Happening, notice: Notice) -> Event:
    """One event, with nothing in it but what the notice's own columns say."""
    return {
        "event": happening.value,
        "id": notice.pk,
        "kind": notice.kind,
        "urgency": Urgency(notice.urgency).label,
        "text": notice.text,
        "url": f"{settings.HOST_HREF.rstrip('/')}{notice.path}"
        if settings.HOST_HREF and notice.path
        else None,
        "raised_at": _moment(notice.raised_at),
        "resolved_at": _moment(notice.resolved_at),
    }


def as_json(message_id: str, events: Sequence[Event]) -> bytes:
    """The body of the webhook; keys are only ever added."""
    body = {"version": VERSION, "id": message_id, "events": list(events)}
    return json.dumps(body, separators=(",", ":")).encode()


def as_mail(events: Sequence[Event]) -> tuple[str, str]:
    """Subject and text of the e-mail."""
    first = " ".join(str(events[0]["text"]).split())
    more = f" (and {len(events) - 1} more)" if len(events) > 1 else ""
    subject = f"[Keepsite] {events[0]['event']}: {first}"
    if len(subject) + len(more) > SUBJECT_CHARS:
        subject = f"{subject[: SUBJECT_CHARS - len(more) - 3]}..."
    return subject + more, "\n\n".join(_paragraph(one) for one in events) + "\n"


def _paragraph(one: Mapping[str, Any]) -> str:  # Any: JSON values
    lines = [f"{one['event']}: {one['text']}"]
    lines.append(f"  urgency: {one['urgency']}, since {one['raised_at']}")
    if one["resolved_at"]:
        lines.append(f"  resolved at {one['resolved_at']}")
    if one["url"]:
        lines.append(f"  {one['url']}")
    return "\n".join(lines)


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat(timespec="seconds")
