import time
from collections.abc import Callable
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from prometheus_client import Histogram

from hsm.stats import calls_made
from keepsite.metrics.bounds import REQUEST_BOUNDS_S
from keepsite.metrics.registry import REGISTRY

# What clients name is not ours to count by: anything else has no label of its own.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
ANSWERED, REFUSED, FAILED = "answered", "refused", "failed"  # below 400, 4xx, 5xx

REQUEST_SECONDS = Histogram(
    "keepsite_request_seconds",
    "How long API requests took, from their arrival in the application to their answer.",
    ["method", "outcome"],
    buckets=REQUEST_BOUNDS_S,
    registry=REGISTRY,
)
CALLS_PER_REQUEST = Histogram(
    "keepsite_hsm_calls_per_request",
    "PKCS#11 calls that one API request made; more of them is a regression.",
    ["method", "route"],
    buckets=(0, 1, 2, 3, 5, 8, 13, 21),
    registry=REGISTRY,
)


class RequestMetricsMiddleware:
    """Times each API request, and counts its PKCS#11 calls by its route."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, and count."""
        before, began = calls_made(), time.perf_counter()
        response = self.get_response(request)
        if request.method in _METHODS and request.path_info.startswith("/v1"):
            REQUEST_SECONDS.labels(request.method, _outcome(response)).observe(time.perf_counter() - began)
            match = request.resolver_match
            if match is not None and match.route.startswith("v1"):
                CALLS_PER_REQUEST.labels(request.method, match.route).observe(calls_made() - before)
        return response


def _outcome(response: HttpResponse) -> str:
    if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return FAILED
    return REFUSED if response.status_code >= HTTPStatus.BAD_REQUEST else ANSWERED
