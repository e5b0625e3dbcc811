"""Points in time as operators read them: in their own zone, which stands beside each; in UTC on the title.

The zone is Django's current one, which ``keepsite.console.zones`` sets for each request.
"""

from datetime import UTC, datetime, timedelta

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.translation import gettext as _

from keepsite.readonly.cells import missing
from keepsite.translation import gettext_lazy

TO_THE_DAY = "%Y-%m-%d"
TO_THE_MINUTE = "%Y-%m-%d %H:%M"
TO_THE_SECOND = "%Y-%m-%d %H:%M:%S"
TIME_OF_DAY = "%H:%M:%S"
A_MINUTE = timedelta(minutes=1)


def moment(at: datetime | None, absent: str = gettext_lazy("never")) -> SafeString:
    """A point in time to the minute."""
    return missing(absent) if at is None else _zoned(at, TO_THE_MINUTE)


def day(at: datetime | None, absent: str = gettext_lazy("never")) -> SafeString:
    """The day of a point in time, where the hour matters little; its title has the second."""
    if at is None:
        return missing(absent)
    return _element(at, format_html("{}", timezone.localtime(at).strftime(TO_THE_DAY)))


def clock(at: datetime) -> SafeString:
    """The time of day to the second, where the day is today."""
    return _zoned(at, TIME_OF_DAY)


def relative(at: datetime | None, *, now: datetime, absent: str = gettext_lazy("never")) -> SafeString:
    """A point in time to the second, and how far from ``now`` it is."""
    if at is None:
        return missing(absent)
    distance = (
        _("in %(timesince)s") % {"timesince": timesince(now, at, depth=1)}
        if at > now
        else _("%(timesince)s ago") % {"timesince": timesince(at, now, depth=1)}
    )
    if abs(at - now) < A_MINUTE:
        distance = _("now")
    return format_html('{} <span class="aside">{}</span>', _zoned(at, TO_THE_SECOND), distance)


def written(at: datetime, to: str = TO_THE_MINUTE) -> str:
    """A point in time within a sentence, with its zone."""
    local = timezone.localtime(at)
    return f"{local.strftime(to)} {_zone_of(local)}"


def _zoned(at: datetime, to: str) -> SafeString:
    local = timezone.localtime(at)
    words = format_html('{} <span class="zone">{}</span>', local.strftime(to), _zone_of(local))
    return _element(at, words)


def _element(at: datetime, words: SafeString) -> SafeString:
    in_utc = at.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{} UTC">{}</time>',
        in_utc.isoformat(timespec="seconds"),
        in_utc.strftime(TO_THE_SECOND),
        words,
    )


def _zone_of(local: datetime) -> str:
    """The zone's abbreviation; zones without letters are called by how far from UTC they are."""
    name = local.tzname() or ""
    return f"UTC{name}" if name.startswith(("+", "-")) else name
