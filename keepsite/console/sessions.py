"""How long a log-in lasts: until nobody has clicked for a while, and never longer than a day's work."""

import time
from typing import Any

from django.conf import settings
from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

STARTED_AT = "started_at"  # in the session, s since the epoch
SEEN_AT = "seen_at"  # likewise; behind by up to NOTE_EVERY_S, which saves a write per page
SECOND_FACTOR = "second_factor"  # likewise: the id of the authenticator that was shown
NOTE_EVERY_S = 60


@receiver(user_logged_in)
def _start(*, request: HttpRequest | None, **_: Any) -> None:  # Any: what Django sends along
    if request is not None:
        now = int(time.time())
        request.session[STARTED_AT] = now
        request.session[SEEN_AT] = now


def why_ended(request: HttpRequest) -> str:
    """Why this session is over, in words for its operator; empty while it is not, and then it is kept alive.

    What a page fetches by itself keeps no session alive.
    """
    session, now = request.session, int(time.time())
    started_at = session.setdefault(STARTED_AT, now)  # it was opened by a release without limits
    seen_at = session.setdefault(SEEN_AT, now)
    if not 0 <= now - started_at < settings.CONSOLE_SESSION_S:
        return _("You were logged out: a session lasts %(duration)s. Log in again.") % {
            "duration": _words(settings.CONSOLE_SESSION_S)
        }
    if not 0 <= now - seen_at < settings.CONSOLE_IDLE_S:
        return _("You were logged out after %(duration)s without a click. Log in again.") % {
            "duration": _words(settings.CONSOLE_IDLE_S)
        }
    if not _is_fetched_by_a_page(request) and now - seen_at >= min(NOTE_EVERY_S, settings.CONSOLE_IDLE_S / 4):
        session[SEEN_AT] = now
    return ""


def _is_fetched_by_a_page(request: HttpRequest) -> bool:
    """Whether no click is behind it: the browser says so, or a live part asks how things are.

    Browsers say it in ``Sec-Fetch-Dest``, but only over https or to localhost.

    Source: W3C, Fetch Metadata Request Headers.
    """
    view = (request.resolver_match.url_name if request.resolver_match else "") or ""
    return request.headers.get("Sec-Fetch-Dest") == "empty" or f"_{view}".endswith("_live")


def _words(duration_s: int) -> str:
    minutes = round(duration_s / 60)
    hours, rest = divmod(minutes, 60)
    if rest:
        return ngettext("%(count)s minute", "%(count)s minutes", minutes) % {"count": minutes}
    return ngettext("%(count)s hour", "%(count)s hours", hours) % {"count": hours}
