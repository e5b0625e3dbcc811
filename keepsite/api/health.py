"""``/healthcheck``: whether this process answers; it touches nothing else on purpose.

A check that included the database would take every node out at once when the
database blinks.  ``/readiness`` tells a start-up gate whether payloads can be served.
"""

from django.http import HttpRequest, HttpResponse, JsonResponse

from hsm import provider


def healthcheck(request: HttpRequest) -> HttpResponse:
    """200 with ``OK``; 204 to HEAD; a JSON body when that is what is asked for."""
    if request.method == "HEAD":
        return HttpResponse(status=204)
    if request.headers.get("Accept", "").partition(";")[0].strip() == "application/json":
        return JsonResponse({"detailed": False, "reasons": ["OK"]})
    return HttpResponse("OK", content_type="text/plain")


def readiness(request: HttpRequest) -> HttpResponse:  # noqa: ARG001  # Django's signature
    """200 if an HSM member serves in the process that answers, else 503; from memory, no token is asked."""
    if provider.is_ready():
        return HttpResponse("READY", content_type="text/plain")
    return HttpResponse(
        "NOT READY: no HSM member can serve",
        status=503,
        content_type="text/plain",
        headers={"Retry-After": "1"},
    )
