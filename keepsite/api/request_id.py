"""Every request gets an id: in its answer, in every log line and in its audit record.

A service that calls us on somebody's behalf sends the id of the request it serves itself; it
is noted beside ours as the global one, so that one can be followed through all services.

Source: oslo.middleware's RequestId; oslo.context's global_request_id.
"""

import re
import uuid
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse

HEADER = "x-openstack-request-id"
_FORM = re.compile(r"req-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class RequestIdMiddleware:
    """Outermost: names the request before anything can fail.

    The id is ours, whatever the client sent; the client's own is the global one if it has the
    form of ours, and else no one's: what a client writes does not get into logs.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with the header set."""
        request_id = f"req-{uuid.uuid4()}"
        request.request_id = request_id  # type: ignore[attr-defined]  # ours
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        sent = request.headers.get(HEADER, "")
        global_id = sent if _FORM.fullmatch(sent) else ""
        request.global_request_id = global_id  # type: ignore[attr-defined]  # ours
        if global_id:
            structlog.contextvars.bind_contextvars(global_request_id=global_id)
        response = self.get_response(request)
        response[HEADER] = request_id
        return response
