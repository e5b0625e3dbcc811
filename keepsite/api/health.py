"""``/healthcheck``: whether this process answers; it touches nothing else on purpose.

A check that included the database would take every node out at once when the
database blinks.
"""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt


@csrf_exempt  # probes may POST, and are answered as if they had not
def healthcheck(request: HttpRequest) -> HttpResponse:
    """200 with ``OK``; 204 to HEAD; a JSON body when that is what is asked for."""
    if request.method == "HEAD":
        return HttpResponse(status=204)
    if request.headers.get("Accept", "").partition(";")[0].strip() == "application/json":
        return JsonResponse({"detailed": False, "reasons": ["OK"]})
    return HttpResponse("OK", content_type="text/plain")
