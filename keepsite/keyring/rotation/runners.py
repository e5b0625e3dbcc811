"""Who executes a run: known by host and process, so that one that died here is noticed at once."""

import os
import socket

from keepsite.ids import new_id


def runner_name() -> str:
    """A name that no other runner has or will have."""
    return f"{socket.gethostname()}/{os.getpid()}/{new_id()[:8]}"


def has_died(runner: str) -> bool:
    """Whether it was a process of this host that is gone; of others only their heartbeat tells."""
    host, _, rest = runner.rpartition("/")[0].rpartition("/")
    if host != socket.gethostname() or not rest.isdigit():
        return False
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
