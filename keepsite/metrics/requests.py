from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from prometheus_client import Histogram

from hsm.stats import calls_made
from keepsite.metrics.registry import REGISTRY

# What clients name is not ours to count by: anything else has no label of its own.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})

CALLS_PER_REQUEST = Histogram(
    "keepsite_hsm_calls_per_request",
    "PKCS#11 calls that one API request made; more of them is a regression.",
    ["method", "route"],
    buckets=(0, 1, 2, 3, 5, 8, 13, 21),
    registry=REGISTRY,
)


class HSMCallsMiddleware:
    """Counts the PKCS#11 calls of each API request, by its route."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, and count."""
        before = calls_made()
        response = self.get_response(request)
        match = request.resolver_match
        if match is not None and match.route.startswith("v1") and request.method in _METHODS:
            CALLS_PER_REQUEST.labels(request.method, match.route).observe(calls_made() - before)
        return response
