"""Django's MariaDB backend, but for how it finds out that a kept connection has died."""

import select

from django.db.backends.mysql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """Looks at the connection's socket before it asks the server anything.

    Before the first statement of every request Django pings the server, which takes as long
    as reading a row.  But nothing may come on a connection that waits for its next
    statement: where something does, it was closed, by the server or by the balancer before
    it, or is about to be.  Only then the ping decides, and where a statement has failed: the
    driver may have closed its socket, whose number somebody else has by now.
    """

    def is_usable(self) -> bool:
        """Return whether the next statement may be sent."""
        if not self.errors_occurred and not _is_readable(self.connection.fileno()):
            return True
        usable: bool = super().is_usable()
        return usable


def _is_readable(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
