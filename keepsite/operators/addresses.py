from ipaddress import ip_address

from django.http import HttpRequest

from keepsite.proxies import is_trusted_proxy


def client_address(request: HttpRequest) -> str:
    """Where a request comes from: the peer, or what a trusted proxy says in ``X-Forwarded-For``.

    Of that header the last entry counts, which the proxy itself has written; the others
    are the client's word.
    """
    peer = str(request.META.get("REMOTE_ADDR", ""))
    if not is_trusted_proxy(peer):
        return peer
    told = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    try:
        return str(ip_address(told))
    except ValueError:
        return peer
