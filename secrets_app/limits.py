from django.conf import settings

from keepsite.errors import TooLarge


def check_payload_size(length_bytes: int) -> None:
    """Refuse a payload longer than ``KEEPSITE_MAX_PAYLOAD_BYTES``.

    Raises:
        TooLarge: it is.
    """
    limit: int = settings.MAX_PAYLOAD_BYTES
    if length_bytes > limit:
        raise TooLarge(what="payload", limit_bytes=limit)
