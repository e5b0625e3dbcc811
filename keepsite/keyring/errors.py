"""HSM errors become domain errors here: the HSM knows no HTTP, clients no PKCS#11."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from hsm.errors import (
    CanaryMismatch,
    HSMError,
    IntegrityFailed,
    KeyNotFound,
    LoginRefused,
    MechanismUnsupported,
    MemberUnavailable,
    PoolExhausted,
    SessionLost,
    TokenNotFound,
)
from keepsite.errors import KeepsiteError, KeyMaterialError, Unavailable

log = structlog.get_logger(__name__)


class NoCurrentMKEK(Unavailable):
    """No MKEK has been activated: an operator must run ``mkek_generate --activate``."""

    public = "This Keepsite has no master key yet. An operator must make one."


class UnknownFormat(KeyMaterialError):
    """A stored payload or key has a format this release does not know; a newer one wrote it."""


_PASSING = (
    MemberUnavailable,
    PoolExhausted,
    SessionLost,
    TokenNotFound,
    LoginRefused,
    CanaryMismatch,
    MechanismUnsupported,
)


@contextmanager
def translating(operation: str, **facts: str) -> Iterator[None]:
    """Raise our errors for the HSM's; the log gets ``facts``, the client one line.

    Raises:
        Unavailable: no token could serve; nothing was changed.
        KeyMaterialError: the key or the ciphertext does not open.
    """
    try:
        yield
    except _PASSING as error:
        log.warning("hsm.unavailable", operation=operation, error=type(error).__name__, **facts)
        raise Unavailable(
            "The key store is unavailable. Nothing was changed; try again.",
            retry_after_s=max(1, round(getattr(error, "retry_after_s", 1))),
        ) from error
    except (KeyNotFound, IntegrityFailed) as error:
        log.critical("hsm.key_material", operation=operation, error=type(error).__name__, **facts)
        raise KeyMaterialError from error
    except HSMError as error:
        log.exception("hsm.failed", operation=operation, error=type(error).__name__, **facts)
        raise KeepsiteError from error
