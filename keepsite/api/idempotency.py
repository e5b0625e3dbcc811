"""The Idempotency-Key header: a POST that is repeated makes its object once.

Source: IETF draft-ietf-httpapi-idempotency-key-header; RFC 9651 §3.3.3 (strings).
"""

import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.db.models import Model
from django.utils import timezone
from rest_framework.request import Request

from keepsite import audit
from keepsite.api.openapi import Parameter
from keepsite.errors import InvalidInput, KeepsiteError
from keepsite.idempotency.services import KeyedRequest
from keepsite.identity.principal import Principal

HEADER = "Idempotency-Key"
MAX_CHARS = 255
# Bare, without what would make it a list: servers join a header that was sent twice by a comma.
_BARE = rf"[!#-+\x2d-~]{{1,{MAX_CHARS}}}"
_QUOTED = rf'"(?:[ !#-\x5b\x5d-~]|\\["\\]){{1,{MAX_CHARS}}}"'
_KEY = re.compile(f"{_BARE}|{_QUOTED}")
_ESCAPED = re.compile(r'\\(["\\])')

PARAMETER = Parameter(
    name=HEADER,
    location="header",
    schema={"type": "string", "pattern": f"^({_BARE}|{_QUOTED})$"},
    description=(
        f"names this request, so that it can be repeated: 1 to {MAX_CHARS} characters of the client's"
        " choice, best a random UUID; in quotes, as structured fields write strings, or bare. The same"
        " request with the same key makes nothing more, and is answered as before"
    ),
)
REFUSALS: Mapping[HTTPStatus, str] = {
    HTTPStatus.CONFLICT: f"The same request with the same `{HEADER}` is being processed; `Retry-After` says"
    " when to ask again.",
    HTTPStatus.UNPROCESSABLE_ENTITY: f"The `{HEADER}` is already used: it came with a different request.",
}


def make_once(
    request: Request,
    *,
    kind: str,
    body: dict[str, Any],  # Any: JSON values
    make: Callable[[KeyedRequest | None], Model],
    caller: Principal,
) -> str:
    """The id of what ``make`` makes for this request, or made when it came first.

    Without the header that is ``make(None)`` and nothing else.  With it, ``make`` is told
    what to commit together with its object of ``kind``, the name of its model.

    Raises:
        InvalidInput: the header is malformed.
        KeyReused: the key came with another request.
        TwinInProgress: the same request is being carried out.
    """
    text = request.headers.get(HEADER)
    if text is None or not settings.IDEMPOTENCY_H:
        return str(make(None).pk)
    keyed = KeyedRequest.of(_key_of(text), caller=caller, kind=kind, body=body, now=timezone.now())
    known = keyed.made()
    if known is None:
        try:
            return str(make(keyed).pk)
        except KeepsiteError:  # a twin may have committed meanwhile, and used up a quota for one
            known = keyed.made()
            if known is None:
                raise
    audit.record("request.repeated", actor=caller, subject=f"{kind}:{known}")
    return known


def _key_of(text: str) -> str:
    """The key that the header's value stands for, the same in quotes and bare.

    Raises:
        InvalidInput: it is neither.
    """
    if not _KEY.fullmatch(text):
        raise InvalidInput(
            f"{HEADER} must be one key of 1 to {MAX_CHARS} visible ASCII characters without quotes and"
            f' commas, or a string in quotes (RFC 9651): {HEADER}: "8e03978e-40d5-43dd-bc93-6894a57f9324".'
        )
    return _ESCAPED.sub(r"\1", text[1:-1]) if text.startswith('"') else text
