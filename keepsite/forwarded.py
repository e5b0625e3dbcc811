"""What a proxy of ours says about the request that it passes on, put where everything looks for it.

Before anything else reads them, so refs, the console's cookies and the access rules of
application credentials, which match the whole path, all see what the client asked for.

Source: PEP 3333 (wsgi.url_scheme, HTTP_HOST, SCRIPT_NAME); oslo.middleware's HTTPProxyToWSGI.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.conf import settings

from keepsite.proxies import is_trusted_proxy

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

SCHEMES = ("http", "https")


def behind_proxies(application: "WSGIApplication") -> "WSGIApplication":
    """``application``, which sees scheme, host and prefix as KEEPSITE_TRUSTED_PROXIES tell them.

    A host that is not one of KEEPSITE_ALLOWED_HOSTS is refused later, wherever it came from.  A
    prefix that is not one of KEEPSITE_PUBLIC_PREFIXES changes nothing: who could choose it, past a
    proxy that does not overwrite it, could choose which access rules match.  Nor do the headers
    of other peers.
    """

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if is_trusted_proxy(environ.get("REMOTE_ADDR", "")):
            _believe(environ)
        return application(environ, start_response)

    return answer


def _believe(environ: "WSGIEnvironment") -> None:
    scheme: str = environ.get("HTTP_X_FORWARDED_PROTO", "")
    if scheme in SCHEMES:
        environ["wsgi.url_scheme"] = scheme
    # of several, the nearest proxy wrote the last
    host = environ.get("HTTP_X_FORWARDED_HOST", "").rpartition(",")[2].strip()
    if host:
        environ["HTTP_HOST"] = host
    prefix = environ.get("HTTP_X_FORWARDED_PREFIX", "").rstrip("/")
    if prefix in settings.PUBLIC_PREFIXES:
        environ["SCRIPT_NAME"] = prefix
