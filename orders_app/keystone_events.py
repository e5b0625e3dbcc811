"""Keystone's notifications: what they say, and what is done about it."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.utils import timezone

from keepsite import audit, writes
from keepsite.errors import InvalidInput, NotFound
from keepsite.identity.operators import NO_PROJECT
from keepsite.identity.principal import PROJECT_ID_MAX_CHARS, Principal
from keepsite.ids import new_id
from keepsite.projects.models import Project
from orders_app.models import RetirementAlarm
from orders_app.retirement import retire_project, retired_since

log = structlog.get_logger(__name__)

WINDOW = timedelta(hours=1)
# A domain may act as a project.  Its projects need no look-up: Keystone deletes, and announces, each.
DELETIONS = frozenset({"identity.project.deleted", "identity.domain.deleted"})
LISTENER = Principal(project_id=NO_PROJECT, user_id="keystone", roles=frozenset(), method="keystone-listener")


class TooManyDeletions(Exception):
    """More projects went than is usual: an operator must look before any more do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """A project, or a domain that may have acted as one, is gone."""

    event_type: str
    project_id: str
    message_id: str


def deletion_in(body: object) -> Deletion | None:
    """The deletion that a notification tells of, or None: it is about something else.

    Reads oslo.messaging's plain form, and the one in an envelope whose
    ``oslo.message`` is JSON in a string; payloads in Keystone's basic and CADF formats.

    Raises:
        InvalidInput: it is no notification.

    Source: oslo.messaging, drivers ``messaging`` and ``messagingv2``; Keystone, "Event notifications".
    """
    notification = _without_envelope(body)
    event_type = notification.get("event_type")
    if not isinstance(event_type, str):
        raise InvalidInput("It has no event_type, so it is no notification of oslo.messaging.")
    if event_type not in DELETIONS:
        return None
    payload = notification.get("payload")
    if not isinstance(payload, dict):
        raise InvalidInput(f"Its payload is no object, as that of {event_type} is.")
    if payload.get("outcome", "success") != "success":  # CADF also tells of what was only tried
        return None
    project_id = payload.get("resource_info")
    if not isinstance(project_id, str) or not 1 <= len(project_id) <= PROJECT_ID_MAX_CHARS:
        raise InvalidInput("Its resource_info names no project.")
    return Deletion(
        event_type=event_type, project_id=project_id, message_id=str(notification.get("message_id", ""))
    )


def obey(deletion: Deletion) -> None:
    """Retire the project; on return all of it is committed, however often this is told.

    Raises:
        TooManyDeletions: the alarm was raised, now or before; nothing was done.
        Unavailable: the database is away; to be told again.
    """
    project = Project.objects.filter(external_id=deletion.project_id).first()
    if project is None:
        log.info("keystone_event.of_no_project_here", project_id=deletion.project_id)
        return
    if project.retired_at is None:
        _refuse_unusual_rate(deletion)
    reason = f"Keystone: {deletion.event_type} ({deletion.message_id})"
    retire_project(deletion.project_id, actor=LISTENER, reason=reason)


def standing_alarm() -> RetirementAlarm | None:
    """The alarm that no operator has cleared yet."""
    return RetirementAlarm.objects.filter(cleared_at=None).order_by("raised_at").first()


def clear_alarm(*, actor: audit.Actor, reason: str) -> RetirementAlarm:
    """Let the listener go on, with a fresh count.

    Raises:
        NotAllowed: ``actor`` is no operator.
        NotFound: no alarm stands.
    """
    audit.require_operator(actor)
    alarm = standing_alarm()
    if alarm is None:
        raise NotFound("No alarm stands.")
    now = timezone.now()
    rows = RetirementAlarm.objects.filter(cleared_at=None)
    writes.commit(lambda: rows.update(cleared_at=now), committed=lambda: not rows.exists())
    change = audit.Change(
        before={"raised_at": alarm.raised_at, "cleared_at": None}, after={"cleared_at": now}
    )
    audit.record("keystone_alarm.cleared", actor=actor, subject=alarm, reason=reason, change=change)
    return alarm


def _refuse_unusual_rate(deletion: Deletion) -> None:
    if standing_alarm() is not None:
        raise TooManyDeletions
    count = retired_since(_window_start())
    if count < settings.KEYSTONE_EVENTS_MAX_PER_HOUR:
        return
    alarm = RetirementAlarm(
        id=new_id(),
        detail=f"{count} projects retired within an hour; the next is {deletion.project_id}"[:255],
    )
    writes.commit(
        lambda: alarm.save(force_insert=True), committed=RetirementAlarm.objects.filter(id=alarm.id).exists
    )
    change = audit.Change(after={"raised_at": alarm.raised_at})
    audit.record("keystone_alarm.raised", actor=LISTENER, subject=alarm, reason=alarm.detail, change=change)
    raise TooManyDeletions


def _window_start() -> datetime:
    """An hour ago, or when an operator last said that what had happened was right."""
    start = timezone.now() - WINDOW
    cleared = RetirementAlarm.objects.filter(cleared_at__gt=start).order_by("-cleared_at").first()
    return start if cleared is None or cleared.cleared_at is None else cleared.cleared_at


def _without_envelope(body: object) -> dict[str, Any]:  # Any: JSON values
    if isinstance(body, dict) and "oslo.message" in body:
        try:
            body = json.loads(body["oslo.message"])
        except (TypeError, ValueError):
            raise InvalidInput("Its oslo.message is no JSON.") from None
    if not isinstance(body, dict):
        raise InvalidInput("It is no JSON object.")
    return body
