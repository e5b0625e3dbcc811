"""Absolute URLs of objects: the only way an id is shown to a client."""

from django.conf import settings
from django.http import HttpRequest
from rest_framework.request import Request

from keepsite.api.context import context_of


def base_href(request: HttpRequest) -> str:
    """The service's base URL as this client reaches it, without a slash at its end.

    ``KEEPSITE_HOST_HREF`` where it is set.  Else the request's own scheme, host and
    mount path, as a trusted proxy may have put them (``keepsite.forwarded``); a host
    outside ``KEEPSITE_ALLOWED_HOSTS`` is refused.

    Raises:
        DisallowedHost: Django answers it with 400.
    """
    if settings.HOST_HREF:
        fixed: str = settings.HOST_HREF
        return fixed.rstrip("/")
    return f"{request.scheme}://{request.get_host()}{request.META.get('SCRIPT_NAME', '').rstrip('/')}"


def ref(request: Request, collection: str, object_id: str) -> str:
    """The URL of one object; never with a slash at its end, clients take the id from there."""
    return f"{context_of(request).base_href}/v1/{collection}/{object_id}"
