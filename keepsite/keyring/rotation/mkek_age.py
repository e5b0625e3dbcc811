"""When the current MKEK is due to be replaced; nothing is done by itself, for it takes somebody at the HSM.

Source: NIST SP 800-57 Part 1 Rev. 5, section 5.3.6, Table 1 (symmetric key-wrapping keys: two years).
"""

from datetime import datetime

from django.conf import settings
from django.db.models import Q

from keepsite.keyring.models import MKEK
from keepsite.keyring.rotation.scope import days_before


def due_mkeks(now: datetime) -> Q:
    """The current MKEK, if it was generated longer ago than the settings allow."""
    limit = _limit(now)
    return Q(pk__in=[]) if limit is None else Q(current_marker=True, created_at__lt=limit)


def is_due(mkek: MKEK, *, now: datetime) -> bool:
    """The same of a row that is at hand."""
    limit = _limit(now)
    return bool(mkek.current_marker) and limit is not None and mkek.created_at < limit


def _limit(now: datetime) -> datetime | None:
    """What was generated before is due; None where age does not matter."""
    return days_before(now, settings.MKEK_MAX_DAYS) if settings.MKEK_MAX_DAYS > 0 else None
