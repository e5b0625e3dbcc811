"""Pages of other sites may call the API, where KEEPSITE_CORS_ORIGINS names them.

As oslo.middleware's CORS answers for Barbican, with two differences: ``*`` never goes with
credentials, and only the API is open.  The console has a session cookie and never is.

Source: Fetch Standard, section 3.2 (CORS protocol); oslo.middleware's CORS.
"""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

from keepsite.api.idempotency import HEADER as IDEMPOTENCY_KEY
from keepsite.api.microversions import HEADER as MICROVERSION
from keepsite.api.middleware import is_api_path
from keepsite.api.request_id import HEADER as REQUEST_ID
from keepsite.identity.noauth import HEADERS as NOAUTH_HEADERS
from keepsite.identity.paths import normalised

METHODS = ("GET", "PUT", "POST", "DELETE", "PATCH")
# What a page may send beside the headers that are nobody's concern.
HEADERS = (
    "X-Auth-Token",
    "X-Service-Token",
    "Content-Encoding",
    IDEMPOTENCY_KEY,
    MICROVERSION,
    REQUEST_ID,
    *NOAUTH_HEADERS,
)
SIMPLE = (
    "Accept",
    "Accept-Language",
    "Cache-Control",
    "Content-Language",
    "Content-Type",
    "Expires",
    "Last-Modified",
    "Pragma",
)
SHOWN = ("Location", "Retry-After", "WWW-Authenticate", MICROVERSION, REQUEST_ID)  # a page may read these
MAX_AGE_S = 3_600  # for which a browser remembers a preflight
ANYBODY = "*"
_SENDABLE = frozenset(name.lower() for name in (*HEADERS, *SIMPLE))


class CorsMiddleware:
    """Tells browsers which pages may call; without origins in the settings it tells them nothing."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, and say so if the page that asks is one of those; errors are shown to it too."""
        response = self.get_response(request)
        origin = _answered(request.headers.get("Origin", ""))
        if origin is None or not is_api_path(normalised(request.path_info)):
            return response
        if request.method == "OPTIONS":
            allowed = _preflight(request)
            if allowed is None:
                return response
            for name, value in allowed.items():
                response[name] = value
        else:
            response["Access-Control-Expose-Headers"] = ",".join(SHOWN)
        response["Access-Control-Allow-Origin"] = origin
        if origin != ANYBODY:
            response["Access-Control-Allow-Credentials"] = "true"
            patch_vary_headers(response, ["Origin"])
        return response


def _answered(origin: str) -> str | None:
    """What to answer a page of ``origin``: that it may call, that anybody may, or nothing."""
    if not origin:
        return None
    if origin in settings.CORS_ORIGINS:
        return origin
    return ANYBODY if ANYBODY in settings.CORS_ORIGINS else None


def _preflight(request: HttpRequest) -> dict[str, str] | None:
    """What a request may have that the browser asks about before it sends it; None: it may not be sent."""
    method = request.headers.get("Access-Control-Request-Method", "")
    asked = request.headers.get("Access-Control-Request-Headers", "")
    names = [name.strip() for name in asked.split(",") if name.strip()]
    if method not in METHODS or any(name.lower() not in _SENDABLE for name in names):
        return None
    allowed = {
        "Access-Control-Allow-Methods": method,
        "Access-Control-Max-Age": str(MAX_AGE_S),
    }
    return allowed | {"Access-Control-Allow-Headers": ",".join(names)} if names else allowed
