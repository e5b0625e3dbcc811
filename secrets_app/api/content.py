"""Payloads on the wire: media types and encodings in, media types out.

Source: Barbican API v1, payload rules.
"""

import base64
import re

from keepsite.api.negotiation import media_types
from keepsite.errors import InvalidInput, NotAcceptable, UnsupportedBody
from keepsite.keyring.sealed import Plaintext
from secrets_app.choices import ContentType
from secrets_app.services import NewPayload

BASE64 = "base64"
_TEXT = re.compile(r"text/plain(\s*;\s*charset\s*=\s*\"?utf-8\"?)?", re.IGNORECASE)
_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
UTF8_TEXT = (
    "text/plain;charset=utf-8",
    "text/plain; charset=utf-8",
)  # the usual spellings beside the bare one
ACCEPTED = "text/plain, application/octet-stream and application/pkcs8"


def content_type_of(text: str) -> ContentType:
    """The content type that one of its accepted spellings names.

    Raises:
        InvalidInput: it is another.
    """
    if _TEXT.fullmatch(text.strip()):
        return ContentType.TEXT
    try:
        return ContentType(text.strip().lower())
    except ValueError as error:
        raise InvalidInput(
            f"payload_content_type {text!r} is not supported; accepted are {ACCEPTED}."
        ) from error


def payload_from_json(payload: str, content_type: ContentType, encoding: str | None) -> NewPayload:
    """The payload that a JSON body carries: text as it is, everything else in base64.

    Raises:
        InvalidInput: the encoding does not fit the type, or is not base64.
    """
    if content_type is ContentType.TEXT:
        if encoding is not None:
            raise InvalidInput(
                "payload_content_encoding must be left out when payload_content_type is text/plain."
            )
        return NewPayload(plaintext=Plaintext(_utf8(payload)), content_type=content_type)
    if encoding != BASE64:
        raise InvalidInput(
            f"payload_content_encoding must be base64 when payload_content_type is {content_type.value}."
        )
    return NewPayload(
        plaintext=Plaintext(decoded(payload.encode("utf-8", "replace"))), content_type=content_type
    )


def raw_content_type(media_type: str) -> ContentType:
    """The content type of a payload sent as a raw body.

    Raises:
        UnsupportedBody: it is neither text/plain nor application/octet-stream.
    """
    if media_type not in {ContentType.TEXT, ContentType.OCTETS}:
        raise UnsupportedBody(
            "A payload is sent as text/plain or application/octet-stream: set the Content-Type header."
        )
    return ContentType(media_type)


def payload_from_body(body: bytes, content_type: ContentType, encoding: str | None) -> NewPayload:
    """The payload that a raw body is: byte for byte, unless it says that it is base64.

    ``binary`` stands for no encoding, as some clients send it.  An encoding of text is ignored.

    Raises:
        InvalidInput: another encoding, or not base64.
    """
    encoding = (encoding or "").strip().lower()
    if content_type is ContentType.TEXT or encoding in {"", "binary"} or not body:
        return NewPayload(plaintext=Plaintext(body), content_type=content_type)
    if encoding != BASE64:
        raise InvalidInput(
            f"Content-Encoding {encoding!r} is not supported; send base64, or leave the header out."
        )
    return NewPayload(plaintext=Plaintext(decoded(body)), content_type=content_type)


def decoded(text: bytes) -> bytes:
    """The bytes that base64 ``text`` stands for; line breaks and blanks in it are fine.

    Raises:
        InvalidInput: anything else outside of the alphabet, wrong padding, or no bytes at all.

    Source: RFC 4648 §4, line breaks as in RFC 2045 §6.8.
    """
    joined = b"".join(text.split())
    if not _BASE64.fullmatch(joined):  # Python's own check lets surplus padding pass
        raise InvalidInput("The payload is not valid base64 (RFC 4648, standard alphabet, with padding).")
    if not joined:
        raise InvalidInput("The payload is empty.")
    return base64.b64decode(joined)


def answer_type(accept: str, stored: ContentType, plaintext: Plaintext) -> str:
    """The Content-Type to answer a payload request with.

    Text that is not UTF-8, which a raw body may have brought, is text to ``*/*`` all the same:
    only its charset is not told then.

    Raises:
        NotAcceptable: no payload type is asked for, or text of bytes that are not UTF-8.
    """
    wanted = payload_type(accept)
    if wanted is None:
        raise NotAcceptable(
            "A payload is served as text/plain, application/octet-stream or application/pkcs8."
        )
    kind = stored if wanted == "*/*" else ContentType(wanted or ContentType.OCTETS)
    if kind is not ContentType.TEXT:
        return kind.value
    if _is_utf8(plaintext):
        return "text/plain; charset=UTF-8"
    if wanted == "*/*":
        return ContentType.TEXT.value
    raise NotAcceptable("The payload is not UTF-8 text; ask for application/octet-stream.")


def payload_type(accept: str) -> str | None:
    """Which payload type an Accept header names: one of ours, ``*/*``, empty for none given, or None."""
    if not accept.strip():
        return ""
    if "," in accept:
        return None
    if _TEXT.fullmatch(accept.strip()):
        return ContentType.TEXT
    asked = next(iter(media_types(accept)), "")
    return asked if ";" not in accept and asked in {ContentType.OCTETS, ContentType.PKCS8, "*/*"} else None


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidInput("payload holds half of a surrogate pair, which is not text.") from error


def _is_utf8(plaintext: Plaintext) -> bool:
    try:
        plaintext.reveal().decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
