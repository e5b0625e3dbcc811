from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.conf import settings

from keepsite.identity import noauth
from keepsite.identity.headers import drop_identity_headers

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


def guarded(application: "WSGIApplication") -> "WSGIApplication":
    """``application`` behind the authentication that ``KEEPSITE_AUTH`` asks for.

    In every mode the identity headers that a client sent are gone before anything
    looks at the request; noauth mode keeps the three that it lives on.
    """
    kept = noauth.HEADERS if settings.AUTH == "noauth" else ()
    inner = application
    if settings.AUTH == "keystone":
        from keepsite.identity import keystone  # noqa: PLC0415  # other modes load none of keystonemiddleware

        inner = keystone.in_front_of(application)

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        drop_identity_headers(environ, keep=kept)
        return inner(environ, start_response)

    return answer
