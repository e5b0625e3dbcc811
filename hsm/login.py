"""Logging in: one attempt per PIN, shared between processes, because wrong PINs lock or erase a token."""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from hsm.config import MemberConfig
from hsm.errors import ConfigInvalid, LoginRefused
from hsm.faults import CKR_OK, CKR_USER_ALREADY_LOGGED_IN, CallFailed, Kind
from hsm.native import Native

_READ_AND_WRITE = 0o666

logger = logging.getLogger(__name__)


def log_in(native: Native, session: int, config: MemberConfig) -> None:
    """Log in once, one process after the other, unless this PIN was refused before.

    Each member has a queue of its own: one whose token hangs keeps no other from its login.

    Raises:
        LoginRefused: the token refused the PIN, now or before; nobody tries it again.
        CallFailed: the token did not get as far as judging it.
    """
    pin = config.pin
    with _locked(pin.lock_path):
        if pin.was_refused():
            raise LoginRefused(
                f"{config.name}: the PIN of {pin.origin} was refused before and is not tried again; "
                f"correct it, or remove {pin.marker} once the token accepts it"
            )
        rv = native.login(session, pin.reveal())
        if rv in {CKR_OK, CKR_USER_ALREADY_LOGGED_IN}:
            pin.forget_refused()
            return
        failed = CallFailed(rv, "C_Login")
        if failed.kind is not Kind.CREDENTIALS:
            raise failed
        _refuse(config, failed)


def _refuse(config: MemberConfig, failed: CallFailed) -> NoReturn:
    pin = config.pin
    try:
        pin.mark_refused()
        told = f"correct it, or remove {pin.marker} once the token accepts it, and restart"
    except OSError as error:
        logger.critical("%s: %s cannot be written (%s)", config.name, pin.marker, error.strerror)
        told = f"{pin.marker} cannot be written: stop every other process, they would try it too"
    raise LoginRefused(
        f"{config.name}: the token refused the PIN of {pin.origin} ({failed}); {told}"
    ) from failed


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of ``path``, which stays empty."""
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigInvalid(
            f"{path}: cannot be opened ({error.strerror}); logins wait in line there"
        ) from error
    try:
        _share(descriptor, path.parent.stat())
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _share(descriptor: int, folder: os.stat_result) -> None:
    """Open a lock that we made to whomever its folder is: root's check must not shut the service out."""
    if os.fstat(descriptor).st_uid != os.geteuid():
        return
    os.fchmod(descriptor, folder.st_mode & _READ_AND_WRITE)
    if os.geteuid() == 0:
        os.fchown(descriptor, folder.st_uid, folder.st_gid)
