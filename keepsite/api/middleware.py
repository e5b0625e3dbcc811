"""What every API request passes before its view: path, identity, microversion, audit."""

from collections.abc import Callable
from http import HTTPStatus

import structlog
from django.core.handlers.exception import response_for_exception
from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

from keepsite import audit, writes
from keepsite.api import limits, microversions
from keepsite.api.context import ApiContext, attach
from keepsite.api.exceptions import database_away, error_response
from keepsite.api.refs import base_href
from keepsite.errors import KeepsiteError, NotAllowed, NotAuthenticated
from keepsite.identity.authentication import authenticate, challenge, refuse_suspended
from keepsite.identity.paths import needs_identity, normalised
from keepsite.identity.principal import Principal

log = structlog.get_logger(__name__)

GetResponse = Callable[[HttpRequest], HttpResponse]


class ApiMiddleware:
    """Answers for ``/``, ``/v1`` and below; everything else passes untouched.

    The order is the contract's: OPTIONS, authentication, microversion, then the route; rate
    limits come as soon as it is known who calls.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, with the contract's headers on success and error alike."""
        if request.method == "OPTIONS":  # on any path, existing or not
            response = HttpResponse(status=200, headers={"Content-Length": "0"})
            del response["Content-Type"]  # Django sets one for every response
            return response
        path = normalised(request.path_info)
        if not is_api_path(path):
            return self.get_response(request)
        request.path_info = path
        is_for_known_callers = needs_identity(path)
        with audit.call(
            action=f"{request.method} {path}",
            request_id=request.request_id,  # type: ignore[attr-defined]  # RequestIdMiddleware's
            global_request_id=request.global_request_id,  # type: ignore[attr-defined]  # likewise
            client=request.META.get("REMOTE_ADDR", ""),
        ) as call:
            response = self._answer(request, call, is_for_known_callers=is_for_known_callers)
            if is_for_known_callers:
                response = _recorded(call, response)
        if response.status_code == HTTPStatus.NO_CONTENT:
            del response["Content-Type"]
        else:
            response["Content-Length"] = str(len(response.content))
        return response

    def _answer(self, request: HttpRequest, call: audit.Call, *, is_for_known_callers: bool) -> HttpResponse:
        try:
            context = ApiContext(base_href=base_href(request))
            if is_for_known_callers:
                audit.require_writable()
                context.principal = call.actor = principal = authenticate(request)
                structlog.contextvars.bind_contextvars(
                    project_id=principal.project_id, user_id=principal.user_id
                )
                limits.charge(principal, method=request.method or "", path=request.path_info)
            context.microversion = microversions.negotiate(request.headers.get(microversions.HEADER))
            refusal = _refusal_of_suspended(context.principal)
        except NotAuthenticated as error:
            unknown = error_response(error)
            unknown["WWW-Authenticate"] = challenge()
            return unknown
        except KeepsiteError as error:
            return error_response(error)
        except DatabaseError as error:
            if writes.is_passing(error):
                return error_response(database_away(error))
            return response_for_exception(request, error)
        except Exception as error:  # noqa: BLE001  # as Django would answer, a host not ours for one, but recorded
            return response_for_exception(request, error)
        attach(request, context)
        response = self.get_response(request) if refusal is None else refusal
        response[microversions.HEADER] = f"{microversions.SERVICE} {context.microversion}"
        patch_vary_headers(response, [microversions.HEADER])
        return response


def is_api_path(path: str) -> bool:
    """Whether the API answers for ``path``; the console, static files and health do otherwise."""
    return path == "/" or needs_identity(path)


def _refusal_of_suspended(principal: Principal | None) -> HttpResponse | None:
    """The answer to callers of a suspended project; like every later one it tells the microversion."""
    if principal is None:
        return None
    try:
        refuse_suspended(principal)
    except NotAllowed as error:
        return error_response(error)
    return None


def _recorded(call: audit.Call, response: HttpResponse) -> HttpResponse:
    """The response, once its audit record is written; what cannot be recorded is withheld."""
    try:
        audit.finish(call, status=response.status_code)
    except KeepsiteError as error:
        return error_response(error)
    return response
