"""``/healthcheck``: whether this process answers; it touches nothing else on purpose.

A check that included the database would take every node out at once when the
database blinks.  An operator takes one node out by making the file that
KEEPSITE_HEALTHCHECK_DISABLE_FILE names.  ``/readiness`` tells a start-up gate whether payloads can be served.
"""

from http import HTTPStatus
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from hsm import provider
from keepsite.api.exceptions import error_body
from keepsite.api.openapi import Answer, Component, Operation, array, described, record

OK, DISABLED = "OK", "DISABLED BY FILE"
HEALTH = Component("Health", record({"detailed": {"const": False}, "reasons": array({"type": "string"})}))
TAKEN_OUT = "an operator has taken this node out of service"
GET = Operation(
    summary="Ask whether this process answers",
    description="For anybody. Neither the database nor the HSM is asked.",
    answer=Answer(
        status=HTTPStatus.OK,
        description="it does",
        content={"text/plain": {"const": OK}, "application/json": HEALTH},
    ),
    refusals={
        HTTPStatus.SERVICE_UNAVAILABLE: Answer(
            status=HTTPStatus.SERVICE_UNAVAILABLE,
            description=TAKEN_OUT,
            content={"text/plain": {"const": DISABLED}, "application/json": HEALTH},
        )
    },
)
POST = Operation(
    summary="The same as GET, for probes that can only post", answer=GET.answer, refusals=GET.refusals
)
HEAD = Operation(
    summary="Ask the same, without a body in the answer",
    answer=Answer(status=HTTPStatus.NO_CONTENT, description="it answers"),
    refusals={
        HTTPStatus.SERVICE_UNAVAILABLE: Answer(status=HTTPStatus.SERVICE_UNAVAILABLE, description=TAKEN_OUT)
    },
)


@csrf_exempt  # some balancers probe with POST
@described(GET)
@described(POST, on="POST")
@described(HEAD, on="HEAD")
def healthcheck(request: HttpRequest) -> HttpResponse:
    """200 with ``OK``, 204 to HEAD, or 503 on a node taken out; in JSON when that is what is asked for."""
    is_disabled = bool(settings.HEALTHCHECK_DISABLE_FILE) and Path(settings.HEALTHCHECK_DISABLE_FILE).exists()
    if request.method == "HEAD":
        response = HttpResponse(
            status=HTTPStatus.SERVICE_UNAVAILABLE if is_disabled else HTTPStatus.NO_CONTENT
        )
        del response["Content-Type"]  # Django sets one for every response
        return response
    if request.method not in {"GET", "POST"}:
        status = HTTPStatus.METHOD_NOT_ALLOWED
        return JsonResponse(error_body(status, ""), status=status, headers={"Allow": "GET, HEAD, POST"})
    reason = DISABLED if is_disabled else OK
    status = HTTPStatus.SERVICE_UNAVAILABLE if is_disabled else HTTPStatus.OK
    if request.headers.get("Accept", "").partition(";")[0].strip() == "application/json":
        return JsonResponse({"detailed": False, "reasons": [reason]}, status=status)
    return HttpResponse(reason, status=status, content_type="text/plain; charset=UTF-8")


def readiness(request: HttpRequest) -> HttpResponse:  # noqa: ARG001  # Django's signature
    """200 if an HSM member serves in the process that answers, else 503; from memory, no token is asked."""
    if provider.is_ready():
        return HttpResponse("READY", content_type="text/plain")
    return HttpResponse(
        "NOT READY: no HSM member can serve",
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        content_type="text/plain",
        headers={"Retry-After": "1"},
    )
