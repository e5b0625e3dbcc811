"""How long ago this session's operator has proven who they are."""

import time
from typing import Any

from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest

PROVEN_AT = "proven_at"  # in the session, s since the epoch
RECENT_S = 15 * 60


@receiver(user_logged_in)
def prove(*, request: HttpRequest | None, **_: Any) -> None:  # Any: what Django sends along
    """Note that the operator has just shown their password."""
    if request is not None:
        request.session[PROVEN_AT] = int(time.time())


def is_recent(request: HttpRequest) -> bool:
    """Whether they did so in the past RECENT_S."""
    proven_at: int = request.session.get(PROVEN_AT, 0)
    return 0 <= time.time() - proven_at < RECENT_S
