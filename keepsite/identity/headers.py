"""Request headers that say who is calling: services behind an authenticating proxy believe them.

Keepsite's identity is a ``Principal``, so no such header from outside reaches the
application.  Strip the same ones at the load balancer.  A name with ``_`` in place
of ``-`` is the same to WSGI; gunicorn drops those before they get here.

Source: keystonemiddleware's auth_token, what it sets; the headers of Repose's filters.
"""

from collections.abc import Collection
from typing import Any

NAMES = frozenset(
    {
        "OpenStack-System-Scope",
        "Remote-User",
        "X-Authenticated-By",
        "X-Authorization",
        "X-Catalog",
        "X-Contact-Id",
        "X-Default-Region",
        "X-Delegated",
        "X-Domain-Id",
        "X-Domain-Name",
        "X-Identity-Status",
        "X-Is-Admin-Project",
        "X-Map-Roles",
        "X-Pool",
        "X-Project-Domain-Id",
        "X-Project-Domain-Name",
        "X-Project-Id",
        "X-Project-Name",
        "X-Relevant-Roles",
        "X-Role",
        "X-Roles",
        "X-Service-Catalog",
        "X-Service-Domain-Id",
        "X-Service-Domain-Name",
        "X-Service-Identity-Status",
        "X-Service-Project-Domain-Id",
        "X-Service-Project-Domain-Name",
        "X-Service-Project-Id",
        "X-Service-Project-Name",
        "X-Service-Roles",
        "X-Service-User-Domain-Id",
        "X-Service-User-Domain-Name",
        "X-Service-User-Id",
        "X-Service-User-Name",
        "X-Storage-Token",  # Swift's name for X-Auth-Token
        "X-Tenant",
        "X-Tenant-Id",
        "X-Tenant-Name",
        "X-Token-Expires",
        "X-User",
        "X-User-Domain-Id",
        "X-User-Domain-Name",
        "X-User-Id",
        "X-User-Name",
    }
)
PREFIXES = ("X-Impersonator-", "X-PP-")


def _key(name: str) -> str:
    return "HTTP_" + name.upper().replace("-", "_")


_KEYS = frozenset(map(_key, NAMES))
_KEY_PREFIXES = tuple(map(_key, PREFIXES))


def drop_identity_headers(environ: dict[str, Any], *, keep: Collection[str] = ()) -> None:  # Any: WSGI's
    """Take every header of the list out of a WSGI environment, but for the names in ``keep``."""
    kept = {_key(name) for name in keep}
    for key in [key for key in environ if key in _KEYS or key.startswith(_KEY_PREFIXES)]:
        if key not in kept:
            del environ[key]
