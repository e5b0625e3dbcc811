"""The only place where an error meets a status."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from django.conf import settings
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation, TooManyFieldsSent
from django.db import Error as DatabaseError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from rest_framework import exceptions as drf
from rest_framework.response import Response

from keepsite import errors, writes

log = structlog.get_logger(__name__)

STATUSES: dict[type[errors.KeepsiteError], HTTPStatus] = {
    errors.InvalidInput: HTTPStatus.BAD_REQUEST,
    errors.NotAuthenticated: HTTPStatus.UNAUTHORIZED,
    errors.NotAllowed: HTTPStatus.FORBIDDEN,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.NotAcceptable: HTTPStatus.NOT_ACCEPTABLE,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.UnsupportedBody: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.Unprocessable: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.LimitReached: HTTPStatus.TOO_MANY_REQUESTS,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.KeepsiteError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
# Titles that clients know by heart and Python's http module words differently.
TITLES = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Request Entity Too Large",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Unprocessable Content",  # RFC 9110 §15.5.21
}


def status_of(error: errors.KeepsiteError) -> HTTPStatus:
    """The status of the nearest class in the table."""
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def error_body(status: int, description: str | None) -> dict[str, Any]:
    """Barbican's error body: ``code``, ``title`` and ``description``.

    Source: Barbican API v1; python-barbicanclient reads ``title`` and ``description``.
    """
    known = HTTPStatus(status)
    body: dict[str, Any] = {
        "code": known.value,
        "title": TITLES.get(known, known.phrase),
        "description": description,
    }
    if known is HTTPStatus.UNAUTHORIZED:  # the shape that Keystone's middleware answers with
        body["error"] = {"code": body["code"], "title": body["title"], "message": description}
    return body


def error_headers(error: errors.KeepsiteError) -> dict[str, str]:
    """Headers that an error adds to its answer."""
    if isinstance(error, errors.Unavailable | errors.LimitReached | errors.InProgress):
        return {"Retry-After": str(error.retry_after_s)}
    return {}


def error_response(error: errors.KeepsiteError) -> JsonResponse:
    """An error met outside of a view, as the answer."""
    status = status_of(error)
    return JsonResponse(error_body(status, error.public), status=status, headers=error_headers(error))


def database_away(error: DatabaseError) -> errors.Unavailable:
    """What a client hears when the database is away for a moment; the log gets the reason."""
    log.warning("database.away", error=type(error).__name__, exc_info=error)
    return errors.Unavailable("The database is unavailable. Try again.")


def exception_handler(
    error: Exception, context: Mapping[str, Any]
) -> Response | None:  # Any: the framework's own
    """Answer every error of a view in Barbican's body; None lets an unknown one become a 500."""
    if isinstance(error, DatabaseError) and writes.is_passing(error):
        error = database_away(error)
    if isinstance(error, errors.KeepsiteError):
        status = status_of(error)
        return Response(error_body(status, error.public), status=status, headers=error_headers(error))
    if isinstance(error, RequestDataTooBig):
        return Response(error_body(413, str(error)), status=413)
    if isinstance(error, SuspiciousOperation):
        return Response(error_body(400, _why_suspicious(error)), status=400)
    if isinstance(error, Http404):
        return Response(error_body(404, ""), status=404)
    if isinstance(error, drf.APIException):
        return _from_framework(error, context)
    log.error("api.unexpected_error", error=type(error).__name__, exc_info=error)
    return Response(error_body(500, errors.KeepsiteError.public), status=500)


def _why_suspicious(error: SuspiciousOperation) -> str:
    if isinstance(error, TooManyFieldsSent):
        return f"A query may have at most {settings.DATA_UPLOAD_MAX_NUMBER_FIELDS} parameters."
    return "The request was refused."


def _from_framework(
    error: drf.APIException, context: Mapping[str, Any]
) -> Response:  # Any: the framework's own
    headers: dict[str, str] = {}
    description: str | None = str(error.detail)
    if isinstance(error, drf.MethodNotAllowed):
        description = ""
        headers["Allow"] = ", ".join(context["view"].allowed_methods)
    elif isinstance(error, drf.NotAcceptable):
        description = None
    return Response(error_body(error.status_code, description), status=error.status_code, headers=headers)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's 404: a page for people under /admin/, JSON for everybody else."""
    if request.path_info.startswith("/admin/"):
        return defaults.page_not_found(request, exception)
    return JsonResponse(error_body(404, ""), status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's 500: an error outside of the API's views."""
    if request.path_info.startswith("/admin/"):
        return defaults.server_error(request)
    return _with_length(JsonResponse(error_body(500, errors.KeepsiteError.public), status=500))


def bad_request(request: HttpRequest, exception: Exception) -> JsonResponse:  # noqa: ARG001  # Django's signature
    """Django's 400: a Host header that is not ours, and the like."""
    body = error_body(400, "The request was refused. Check the Host header against KEEPSITE_ALLOWED_HOSTS.")
    return _with_length(JsonResponse(body, status=400))


def _with_length(response: JsonResponse) -> JsonResponse:
    """The answer to what failed in a middleware, above the one that adds the length."""
    response["Content-Length"] = str(len(response.content))
    return response
