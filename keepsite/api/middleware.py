"""What every API request passes before its view: path, identity, microversion, audit."""

import re
from collections.abc import Callable
from http import HTTPStatus

import structlog
from django.core.handlers.exception import response_for_exception
from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

from keepsite import audit, writes
from keepsite.api import microversions
from keepsite.api.context import ApiContext, attach
from keepsite.api.exceptions import database_away, error_response
from keepsite.api.refs import base_href
from keepsite.errors import KeepsiteError, NotAuthenticated
from keepsite.identity.authentication import CHALLENGE, authenticate

log = structlog.get_logger(__name__)

_SLASHES = re.compile(r"/{2,}")
GetResponse = Callable[[HttpRequest], HttpResponse]


class ApiMiddleware:
    """Answers for ``/``, ``/v1`` and below; everything else passes untouched.

    The order is the contract's: OPTIONS, authentication, microversion, then the route.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, with the contract's headers on success and error alike."""
        if request.method == "OPTIONS":  # on any path, existing or not
            return HttpResponse(status=200, headers={"Content-Length": "0"})
        path = _normalised(request.path_info)
        if not is_api_path(path):
            return self.get_response(request)
        request.path_info = path
        needs_identity = path != "/"
        with audit.call(
            action=f"{request.method} {path}",
            request_id=request.request_id,  # type: ignore[attr-defined]  # RequestIdMiddleware's
            client=request.META.get("REMOTE_ADDR", ""),
        ) as call:
            response = self._answer(request, call, needs_identity=needs_identity)
            if needs_identity:
                response = _recorded(call, response)
        if response.status_code == HTTPStatus.NO_CONTENT:
            del response["Content-Type"]  # Django sets one for every response
        else:
            response["Content-Length"] = str(len(response.content))
        return response

    def _answer(self, request: HttpRequest, call: audit.Call, *, needs_identity: bool) -> HttpResponse:
        try:
            context = ApiContext(base_href=base_href(request))
            if needs_identity:
                audit.require_writable()
                context.principal = call.actor = principal = authenticate(request.headers)
                structlog.contextvars.bind_contextvars(
                    project_id=principal.project_id, user_id=principal.user_id
                )
            context.microversion = microversions.negotiate(request.headers.get(microversions.HEADER))
        except NotAuthenticated as error:
            refusal = error_response(error)
            refusal["WWW-Authenticate"] = CHALLENGE
            return refusal
        except KeepsiteError as error:
            return error_response(error)
        except DatabaseError as error:
            if writes.is_passing(error):
                return error_response(database_away(error))
            return response_for_exception(request, error)
        except Exception as error:  # noqa: BLE001  # as Django would answer, a host not ours for one, but recorded
            return response_for_exception(request, error)
        attach(request, context)
        response = self.get_response(request)
        response[microversions.HEADER] = f"{microversions.SERVICE} {context.microversion}"
        patch_vary_headers(response, [microversions.HEADER])
        return response


def is_api_path(path: str) -> bool:
    """Whether the API answers for ``path``; the console, static files and health do otherwise."""
    return path in {"/", "/v1"} or path.startswith("/v1/")


def _normalised(path: str) -> str:
    """One spelling for paths that clients write with repeated or trailing slashes."""
    return _SLASHES.sub("/", path).rstrip("/") or "/"


def _recorded(call: audit.Call, response: HttpResponse) -> HttpResponse:
    """The response, once its audit record is written; what cannot be recorded is withheld."""
    try:
        audit.finish(call, status=response.status_code)
    except KeepsiteError as error:
        return error_response(error)
    return response
