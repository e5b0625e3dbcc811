"""The agent's HTTP side: threaded, bounded, and on nothing but the state file."""

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from keepsite.nodes.agent import answers
from keepsite.nodes.agent.plight import PlightAnswers

if TYPE_CHECKING:
    from socket import socket

log = structlog.get_logger(__name__)

CLIENT_TIMEOUT_S = 1.0  # a client that sends nothing for this long is let go
MAX_CLIENTS = 64  # at once; more than any set of balancers, fewer than would hurt the node


class StateServer(ThreadingHTTPServer):
    """Answers GET and HEAD of balancers."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], *, state_path: Path, plight: PlightAnswers | None) -> None:
        self.state_path = state_path
        self.plight = plight
        self._room = threading.BoundedSemaphore(MAX_CLIENTS)
        super().__init__(address, _Handler)

    def process_request(self, request: "socket | tuple[bytes, socket]", client_address: object) -> None:
        """Start a thread for the client if there is room for one."""
        if not self._room.acquire(blocking=False):
            log.warning("node_agent.too_many_clients", limit=MAX_CLIENTS)
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._room.release()
            raise

    def process_request_thread(
        self, request: "socket | tuple[bytes, socket]", client_address: object
    ) -> None:
        """Answer in the client's thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002  # socketserver's
        """Log what went wrong with one client; balancers hang up all the time."""
        log.info("node_agent.client_gone", error=repr(sys.exception()))


class _Handler(BaseHTTPRequestHandler):
    timeout = CLIENT_TIMEOUT_S
    server_version = "Keepsite"
    sys_version = ""
    server: StateServer

    def do_GET(self) -> None:
        self._tell(with_body=True)

    def do_HEAD(self) -> None:
        self._tell(with_body=False)

    def _tell(self, *, with_body: bool) -> None:
        told = answers.answer(self.path, state_path=self.server.state_path, plight=self.server.plight)
        body = f"{told.body}\n".encode() if told.body else b""
        self.send_response(told.status, told.reason)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's
        log.debug("node_agent.answered", line=format % args)
