"""The zone that an operator's dates are shown in, and that the dates they type are read in.

What they chose counts; until they chose, what their browser said in a cookie, which
``console/js/zone.js`` sets; else UTC.  It holds for one request of the console: the API,
exports, audit records and whatever else leaves the process keep UTC.
"""

from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from django.http import HttpRequest
from django.utils import timezone

COOKIE = "keepsite_zone"
DEFAULT = "UTC"
REGIONS = (
    "Africa",
    "America",
    "Antarctica",
    "Arctic",
    "Asia",
    "Atlantic",
    "Australia",
    "Europe",
    "Indian",
    "Pacific",
)


def use_chosen(zone: str | None) -> None:
    """Go over to the zone that the operator chose, for the rest of the request."""
    if zone in known_zones():
        timezone.activate(ZoneInfo(zone))


def zone_of_browser(request: HttpRequest) -> str:
    """What the browser said its zone is; UTC if it said nothing, or nothing that exists."""
    said = request.COOKIES.get(COOKIE, "")
    return said if said in known_zones() else DEFAULT


@cache
def known_zones() -> frozenset[str]:
    """Every zone by its IANA name; what systems add for themselves, like localtime, is none."""
    return frozenset(zone for zone in available_timezones() if "/" in zone) | {DEFAULT}


@cache
def zones_by_region() -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    """Those that are offered: regions, with the zones of each and how they are called there."""
    zones = sorted(known_zones())
    return tuple(
        (
            region,
            tuple(
                (zone, zone.removeprefix(f"{region}/").replace("_", " "))
                for zone in zones
                if zone.startswith(f"{region}/")
            ),
        )
        for region in REGIONS
    )
