"""Shows the console as its reader wants it."""

from collections.abc import Callable
from functools import cache
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers

from keepsite.console.zones import zone_of_browser

GetResponse = Callable[[HttpRequest], HttpResponse]


class ReaderMiddleware:
    """The console's pages in the zone and the language of the browser; other paths pass untouched.

    Both end with the request.  The zone is a first guess, which gives way once it is known
    who reads; the language is one of KEEPSITE_LANGUAGES, or else English.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer."""
        if not request.path_info.startswith(_console()):
            return self.get_response(request)
        language = translation.get_language_from_request(request)
        with timezone.override(ZoneInfo(zone_of_browser(request))), translation.override(language):
            response = self.get_response(request)
            response.headers.setdefault("Content-Language", language)
            patch_vary_headers(response, ("Accept-Language",))
            return response


@cache
def _console() -> str:
    return reverse("admin:index")
