"""A browser that an operator has logged in with before: a signed cookie says so."""

from datetime import timedelta

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

from keepsite.ids import new_id

COOKIE = "keepsite_browser"
MAX_AGE = timedelta(days=180)
_SALT = "keepsite.browser"


def known_browser(request: HttpRequest, *, username: str) -> str:
    """The id of this browser, if ``username`` has logged in with it; else an empty text."""
    try:
        of, browser = signing.loads(request.COOKIES.get(COOKIE, ""), salt=_SALT, max_age=MAX_AGE)
    except (signing.BadSignature, ValueError, TypeError):
        return ""
    return str(browser) if of == username else ""


def remember_browser(request: HttpRequest, response: HttpResponse, *, username: str, path: str) -> None:
    """Let this browser's wrong proofs be counted apart from strangers'; it opens nothing."""
    browser = known_browser(request, username=username) or new_id()
    response.set_cookie(
        COOKIE,
        signing.dumps([username, browser], salt=_SALT),
        max_age=MAX_AGE,
        path=path,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Strict",
    )
