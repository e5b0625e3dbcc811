"""Version documents: ``GET /`` and ``GET /v1``."""

from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from keepsite.api.context import context_of
from keepsite.api.exceptions import error_body
from keepsite.api.microversions import CONSUMERS_SHOWN, MAXIMUM, MINIMUM
from keepsite.api.negotiation import accepts_json
from keepsite.api.openapi import (
    URL,
    Answer,
    Component,
    Operation,
    array,
    described,
    either,
    open_record,
    record,
)

JSON_HOME = "application/json-home"
LINKS = array(open_record({"rel": {"type": "string"}, "href": URL}, {"type": {"type": "string"}}))
FIRST_LAYOUT = Component(
    "StableVersion",
    record(
        {
            "id": {"const": "v1"},
            "status": {"const": "stable"},
            "links": LINKS,
            "media-types": array(record({"base": {"type": "string"}, "type": {"type": "string"}})),
        },
        description=f"as microversion {MINIMUM} shows a version",
    ),
)
LATER_LAYOUT = Component(
    "CurrentVersion",
    record(
        {
            "id": {"const": "v1"},
            "status": {"const": "CURRENT"},
            "min_version": {"const": str(MINIMUM)},
            "max_version": {"const": str(MAXIMUM)},
            "links": LINKS,
        },
        description=f"as microversions from {CONSUMERS_SHOWN} on show a version",
    ),
)
VERSIONS = Component(
    "Versions",
    either(
        record({"versions": record({"values": array(FIRST_LAYOUT)})}),
        record({"versions": array(LATER_LAYOUT)}),
    ),
)
VERSION = Component("Version", record({"version": either(FIRST_LAYOUT, LATER_LAYOUT)}))


@csrf_exempt  # no cookie says who calls; other methods are 405, not 403
@described(
    Operation(
        summary="List the API's versions",
        description="For anybody. Which of the two layouts it is, the microversion decides.",
        answer=Answer(
            status=HTTPStatus.MULTIPLE_CHOICES,
            description="the one version there is, with its microversions",
            content={"application/json": VERSIONS},
        ),
    )
)
def versions(request: HttpRequest) -> JsonResponse:
    """All versions, to anybody; always 300, as clients expect of an unversioned endpoint."""
    refusal = _refusal(request)
    if refusal is not None:
        return refusal
    element = _element(request)
    body = {"versions": {"values": [element]} if _speaks_first_layout(request) else [element]}
    return JsonResponse(body, status=HTTPStatus.MULTIPLE_CHOICES)


@csrf_exempt
@described(
    Operation(
        summary="Show version 1",
        answer=Answer(
            status=HTTPStatus.OK,
            description="the version, in the layout of the microversion",
            content={"application/json": VERSION},
        ),
    )
)
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
