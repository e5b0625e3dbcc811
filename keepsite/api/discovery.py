"""Version documents: ``GET /`` and ``GET /v1``."""

from typing import Any

from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from keepsite.api.context import context_of
from keepsite.api.exceptions import error_body
from keepsite.api.microversions import MAXIMUM, MINIMUM
from keepsite.api.negotiation import accepts_json

MULTIPLE_CHOICES = 300
JSON_HOME = "application/json-home"


@csrf_exempt  # no form posts here: what is not GET is answered as everywhere in the API
def versions(request: HttpRequest) -> JsonResponse:
    """All versions, to anybody; always 300, as clients expect of an unversioned endpoint."""
    refusal = _refusal(request)
    if refusal is not None:
        return refusal
    element = _element(request)
    body = {"versions": {"values": [element]} if _speaks_first_layout(request) else [element]}
    return JsonResponse(body, status=MULTIPLE_CHOICES)


@csrf_exempt
def version(request: HttpRequest) -> JsonResponse:
    """The one version there is, to callers with an identity."""
    return _refusal(request) or JsonResponse({"version": _element(request)})


def _refusal(request: HttpRequest) -> JsonResponse | None:
    if request.method != "GET":
        return JsonResponse(error_body(405, ""), status=405, headers={"Allow": "GET"})
    accept = request.headers.get("Accept", "")
    if not accepts_json(accept) and JSON_HOME not in accept:
        return JsonResponse(error_body(406, None), status=406)
    return None


def _speaks_first_layout(request: HttpRequest) -> bool:
    return context_of(request).microversion == MINIMUM


def _element(request: HttpRequest) -> dict[str, Any]:  # Any: JSON values
    links = [
        {"rel": "self", "href": f"{context_of(request).base_href}/v1/"},
        {"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/"},
    ]
    if _speaks_first_layout(request):
        media_type = {"base": "application/json", "type": "application/vnd.openstack.key-manager-v1+json"}
        return {"id": "v1", "status": "stable", "links": links, "media-types": [media_type]}
    return {
        "id": "v1",
        "status": "CURRENT",
        "min_version": str(MINIMUM),
        "max_version": str(MAXIMUM),
        "links": links,
    }
