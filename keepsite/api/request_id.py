"""Every request gets an id: in its answer, in every log line and in its audit record."""

import uuid
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse

HEADER = "x-openstack-request-id"


class RequestIdMiddleware:
    """Outermost: names the request before anything can fail.

    The id is ours, whatever the client sent; the client's own is only logged.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with the header set."""
        request_id = f"req-{uuid.uuid4()}"
        request.request_id = request_id  # type: ignore[attr-defined]  # ours
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        response = self.get_response(request)
        response[HEADER] = request_id
        return response
