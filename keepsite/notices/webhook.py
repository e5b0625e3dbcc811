"""Sends messages to the deployment's webhook, signed.

The signature is HMAC-SHA256 (RFC 2104) under KEEPSITE_NOTICE_WEBHOOK_SECRET over the
timestamp, a full stop and the body, byte by byte as sent; the timestamp lets a receiver
refuse what somebody recorded and sent again.
"""

import hashlib
import hmac
import http.client
import ssl
import time
from http import HTTPStatus
from urllib.parse import urlsplit

import keepsite
from keepsite.notices.errors import NotSent

TIMEOUT_S = 5.0
TIMESTAMP = "Keepsite-Timestamp"  # s since the epoch
SIGNATURE = "Keepsite-Signature"  # "v1=" and 64 hex digits
DELIVERY = "Keepsite-Delivery"  # the message's id, the same at every attempt


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """The value of Keepsite-Signature.

    Source: RFC 2104; FIPS 180-4 (SHA-256).
    """
    signed = timestamp.encode() + b"." + body
    return "v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def post(url: str, body: bytes, *, secret: str, message_id: str, now: float | None = None) -> None:
    """Send ``body``; on return the receiver has answered 2xx.  Redirects are not followed.

    Raises:
        NotSent: it could not be reached, or answered anything else; the words name no part of the URL,
            since many receivers have a token in theirs.
    """
    timestamp = str(int(time.time() if now is None else now))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"Keepsite/{keepsite.__version__}",
        TIMESTAMP: timestamp,
        SIGNATURE: signature(secret, timestamp, body),
        DELIVERY: message_id,
    }
    connection = _connection(url)
    parts = urlsplit(url)
    try:
        connection.request(
            "POST", parts.path + (f"?{parts.query}" if parts.query else "") or "/", body, headers
        )
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise NotSent(f"not reached: {type(error).__name__}") from error
    finally:
        connection.close()
    if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        raise NotSent(f"answered {status}")


def _connection(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https":
        return http.client.HTTPSConnection(
            host, parts.port, timeout=TIMEOUT_S, context=ssl.create_default_context()
        )
    return http.client.HTTPConnection(host, parts.port, timeout=TIMEOUT_S)
