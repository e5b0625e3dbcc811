"""The node guards its own colour, before any work is done.

A balancer that has just started believes every server is up.  It adds ``X-Pool``, the
colour it serves; a node of another colour answers 425, which means "nothing was done"
and nothing else, so the balancer may send any request to another node, POST included.

Source: RFC 8470 §5.2 (425 Too Early).
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from keepsite.nodes import state_file
from keepsite.nodes.in_flight import InFlight

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_BODY = (
    b'{"code": 425, "title": "Too Early", '
    b'"description": "This node does not serve the pool that the request came through. Nothing was done."}'
)


def guarded_by_colour(application: "WSGIApplication", path: Path, in_flight: InFlight) -> "WSGIApplication":
    """``application`` for requests of this node's pool, and for those that come through none.

    ``path`` is the node's state file; ``in_flight`` counts what is let through.  What came through a pool
    and finds no state is refused too.
    """

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        pool = environ.get("HTTP_X_POOL")
        if pool is None or pool == state_file.read(path).colour:
            with in_flight:
                return application(environ, start_response)
        start_response(
            "425 Too Early",
            [("Content-Type", "application/json"), ("Content-Length", str(len(_BODY)))],
        )
        return [_BODY]

    return answer
