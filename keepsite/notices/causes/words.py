from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.humanize.templatetags.humanize import intcomma

from keepsite.notices.models import Urgency


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Something that an operator should know now; ``key`` stays the same as long as it lasts."""

    kind: str
    about: str  # what tells it from others of its kind; empty where there is only one
    urgency: Urgency
    text: str
    path: str

    @property
    def key(self) -> str:
        """Its name while it lasts."""
        return f"{self.kind}:{self.about}" if self.about else self.kind


def many(number: int, one: str, several: str) -> str:
    """A number with its noun and verb: "1 order waits", "12 orders wait"."""
    return f"{intcomma(number)} {one if number == 1 else several}"


def until(moment: datetime, now: datetime) -> str:
    """How far off a moment is, in days or hours."""
    left = moment - now
    if left < timedelta(hours=1):
        return "within the hour"
    if left < timedelta(days=2):
        return f"in {left // timedelta(hours=1)} h"
    return f"in {left.days} days"
