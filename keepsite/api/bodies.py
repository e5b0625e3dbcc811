"""Request bodies: bounded before they are read, strict about what JSON is."""

import json
import re
from typing import IO, Any, NoReturn

from django.conf import settings
from django.http import HttpRequest
from rest_framework.request import Request

from keepsite.errors import InvalidInput, TooLarge, UnsupportedBody

MAX_DIGITS = 18  # of a declared length; no longer number is one, and none costs time to read
MAX_DEPTH = 20  # levels of nesting; the contract's deepest body has four
# Possessive, and content with a string that never ends: one pass whatever the text, so that a body of
# escaped quotes cannot keep the process busy.  The parser refuses such a body afterwards.
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)


def media_type_of(request: Request) -> str:
    """The Content-Type without its parameters, lower case; empty when there is none."""
    content_type: str = request.META.get("CONTENT_TYPE", "")
    return content_type.partition(";")[0].strip().lower()


def json_object(request: Request) -> dict[str, Any]:  # Any: JSON values, checked by the serializer
    """The JSON object that the body holds, of at most ``KEEPSITE_MAX_REQUEST_BYTES``.

    Raises:
        UnsupportedBody: the Content-Type is not JSON.
        TooLarge: longer than that; nothing beyond the limit is read.
        InvalidInput: not JSON in UTF-8 (no BOM, no NaN, nothing after it), not an object, nested too deep.

    Source: RFC 8259.
    """
    if media_type_of(request) != "application/json":
        raise UnsupportedBody("This resource takes application/json: set the Content-Type header.")
    raw = bounded(request, what="request body", limit_bytes=settings.MAX_REQUEST_BYTES)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(
            "The request body must be JSON in UTF-8; it holds bytes that are not UTF-8."
        ) from error
    _refuse_deep_nesting(text)
    try:
        body = json.loads(text, parse_constant=_refuse_constant)
    except ValueError as error:
        raise InvalidInput(f"The request body must be a JSON object: {_where(error)}.") from error
    if not isinstance(body, dict):
        raise InvalidInput('The request body must be a JSON object, such as {"name": "example"}.')
    return body


def bounded(request: Request, *, what: str, limit_bytes: int) -> bytes:
    """The whole body, read no further than ``limit_bytes`` allows.

    Raises:
        TooLarge: it is longer; a declared length is refused before anything is read.
    """
    http: HttpRequest = request._request  # noqa: SLF001  # the Django request behind the framework's
    declared: str = http.META.get("CONTENT_LENGTH") or "0"
    if (
        declared.isascii()
        and declared.isdigit()
        and (len(declared) > MAX_DIGITS or int(declared) > limit_bytes)
    ):
        raise TooLarge(what=what, limit_bytes=limit_bytes)
    raw = _stream_of(http).read(limit_bytes + 1)
    if len(raw) > limit_bytes:
        raise TooLarge(what=what, limit_bytes=limit_bytes)
    return raw


def _stream_of(http: HttpRequest) -> IO[bytes] | HttpRequest:
    """Where the body is read: Django takes a body without a length (chunked) for an empty one."""
    if "chunked" in http.headers.get("Transfer-Encoding", "").lower() and http.META.get(
        "wsgi.input_terminated"
    ):
        stream: IO[bytes] = http.META["wsgi.input"]
        return stream
    return http


def _where(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg.lower()} at line {error.lineno}, column {error.colno}"
    return "a number or constant in it is not JSON"


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


def _refuse_deep_nesting(text: str) -> None:
    """Count brackets outside of strings: the parser must not be led into deep recursion."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for bracket in _STRING.sub("", text):
        if bracket in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise InvalidInput(f"The request body may be nested at most {MAX_DEPTH} levels deep.")
        elif bracket in "]}":
            depth -= 1
