"""When an API key was last used: to the minute, and never at a request's expense."""

import time
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.core.signals import request_finished
from django.db import Error as DatabaseError
from django.db.models import Q
from django.dispatch import receiver

from keepsite.identity.models import APIKey

log = structlog.get_logger(__name__)

FRESH_S = 60  # a key that was noted as used within this is not written again
MAX_TRIED = 10_000  # keys a process remembers having tried

_due: ContextVar[tuple[str, datetime] | None] = ContextVar("api_key_used", default=None)
_tried: dict[str, float] = {}  # key id: when this process last tried to write it, whatever came of it


def note(key: APIKey, *, now: datetime) -> None:
    """Remember that ``key`` was used at ``now``, to be written when the request has been answered.

    Costs nothing while the row says so already, or this process has just tried.
    """
    if key.last_used_at is not None and now - key.last_used_at < timedelta(seconds=FRESH_S):
        return
    if time.monotonic() - _tried.get(key.id, -FRESH_S) < FRESH_S:
        return
    if len(_tried) >= MAX_TRIED:
        _tried.clear()
    _tried[key.id] = time.monotonic()
    _due.set((key.id, now))


@receiver(request_finished)
def write(**_: Any) -> None:  # Any: what Django sends along
    """Write what was noted; one conditional UPDATE, so of many processes one writes.

    A database that does not take it is no reason to fail or to try again: the next
    minute brings another chance.
    """
    due = _due.get()
    if due is None:
        return
    _due.set(None)
    key_id, used_at = due
    stale = Q(last_used_at=None) | Q(last_used_at__lte=used_at - timedelta(seconds=FRESH_S))
    try:
        APIKey.objects.filter(stale, id=key_id).update(last_used_at=used_at)
    except DatabaseError as error:
        log.info("api_key.last_use_not_written", key_id=key_id, error=type(error).__name__)
