from functools import lru_cache
from ipaddress import ip_address, ip_network

from django.conf import settings


@lru_cache(maxsize=256)
def is_trusted_proxy(address: str) -> bool:
    """Whether KEEPSITE_TRUSTED_PROXIES lists the peer, so that its X-Forwarded headers are believed."""
    try:
        peer = ip_address(address)
    except ValueError:  # a UNIX socket has no address: whoever may open it is trusted by its file mode
        return False
    return any(peer in ip_network(entry, strict=False) for entry in settings.TRUSTED_PROXIES)
