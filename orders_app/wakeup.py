"""A named pipe on which the API tells the relay of its node that an order waits.

Only a nudge: the relay also looks by itself, so a lost one costs time and no order.

Source: POSIX.1-2017, mkfifo(3) and open(2) with O_NONBLOCK.
"""

import errno
import os
import select
from pathlib import Path

import structlog
from django.conf import settings

log = structlog.get_logger(__name__)

NOBODY_LISTENS = frozenset({errno.ENXIO, errno.ENOENT})


def wake_relay() -> None:
    """Nudge the relay of this node, if there is one; never waits, never fails."""
    try:
        pipe = os.open(settings.RELAY_PIPE, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno not in NOBODY_LISTENS:
            log.warning("relay.pipe_unusable", error=os.strerror(error.errno or 0))
        return
    try:
        os.write(pipe, b".")
    except BlockingIOError:
        log.debug("relay.already_nudged")
    except BrokenPipeError:
        log.debug("relay.just_left")
    finally:
        os.close(pipe)


class Nudges:
    """The relay's end of the pipe."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            os.mkfifo(path, 0o600)
        except FileExistsError:
            log.debug("relay.pipe_exists")
        # open for writing too: without a writer the pipe would always be readable, at its end
        self._pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def wait(self, timeout_s: float) -> None:
        """Return at the first nudge, or after ``timeout_s`` without one."""
        readable, _, _ = select.select([self._pipe], [], [], timeout_s)
        if readable:
            os.read(self._pipe, 65_536)

    def close(self) -> None:
        """Stop listening; the pipe stays for the next relay."""
        os.close(self._pipe)
