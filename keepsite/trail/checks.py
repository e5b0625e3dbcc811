"""Settings of the audit trail that must hold before it serves."""

from collections.abc import Sequence

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from keepsite.trail.removals import MIN_DAYS

MAX_DAYS = 36_500


@register()
def retention_is_usable(app_configs: Sequence[AppConfig] | None, **_: object) -> list[CheckMessage]:  # noqa: ARG001
    """What was collected is kept for good, or long enough for everybody to look."""
    days = settings.AUDIT_RETENTION_DAYS
    if days == 0 or MIN_DAYS <= days <= MAX_DAYS:
        return []
    return [
        Error(
            f"KEEPSITE_AUDIT_RETENTION_DAYS is {days}.",
            hint=f"Set it to {MIN_DAYS} days or more, at most {MAX_DAYS}, or to 0 to keep all records.",
            id="keepsite.E040",
        )
    ]
