"""``/metrics``: for the monitoring system, by address; it waits for neither database nor HSM."""

from ipaddress import ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST

from hsm import provider
from keepsite.metrics import counted
from keepsite.metrics.registry import exposition

_PASSED_ON = ("X-Forwarded-For", "Forwarded", "X-Real-IP")


def metrics(request: HttpRequest) -> HttpResponse:
    """The metrics of all this node's processes, to addresses of ``KEEPSITE_METRICS_ALLOWED``; 403 to others.

    What came through a proxy is refused: its address says nothing about who asks.
    """
    if not _may_ask(request):
        return HttpResponse("Metrics are not for you.\n", status=403, content_type="text/plain")
    provider.tell()
    counted.count_if_due()
    return HttpResponse(exposition(), content_type=CONTENT_TYPE_LATEST)


def _may_ask(request: HttpRequest) -> bool:
    if any(name in request.headers for name in _PASSED_ON):
        return False
    try:
        peer = ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:  # a UNIX socket: whoever may open it is allowed by its file mode
        return True
    return any(peer in ip_network(entry, strict=False) for entry in settings.METRICS_ALLOWED)
