"""How gunicorn serves Keepsite: ``gunicorn -c deploy/gunicorn.conf.py keepsite.wsgi``.

The numbers come from the environment; ``keepsite/env.py`` describes them.
"""

import json
import os
import signal
import subprocess
import sys
from http import HTTPStatus
from pathlib import Path
from typing import Any

from gunicorn import util
from gunicorn.http import errors
from gunicorn.workers.gthread import ThreadWorker

from keepsite.metrics import files as metrics_files

bind = os.environ.get("KEEPSITE_BIND", "127.0.0.1:9311")
workers = int(os.environ.get("KEEPSITE_WORKERS", "2"))
threads = int(os.environ.get("KEEPSITE_THREADS", "8"))
preload_app = False  # the PKCS#11 module must be loaded after the fork

timeout = 60  # s without a sign of life before a worker is replaced
graceful_timeout = 30  # s for requests under way when told to stop
keepalive = 75  # s, longer than load balancers keep an idle connection

limit_request_line = 8190  # bytes: list filters travel in the query
limit_request_fields = 64
limit_request_field_size = 8190  # bytes: Keystone tokens travel in a header

# Keepsite decides itself whose X-Forwarded headers it believes (KEEPSITE_TRUSTED_PROXIES).
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""
header_map = "drop"  # X_Roles would be X-Roles to the application

accesslog = None  # Keepsite logs requests, with their ids
errorlog = "-"
control_socket_disable = True  # by default one socket per user, shared by every gunicorn of theirs
umask = 0o077
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  # heartbeats never wait on a disk

state_dir = Path(os.environ.get("KEEPSITE_STATE_DIR", "/var/lib/keepsite"))
# What is no HTTP, or more of it than we take: the status, and what is accepted instead.
NOT_TAKEN = (
    (
        errors.LimitRequestLine,
        HTTPStatus.REQUEST_URI_TOO_LONG,
        f"A request line has at most {limit_request_line} bytes.",
    ),
    (
        errors.LimitRequestHeaders,
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        f"At most {limit_request_fields} headers of at most {limit_request_field_size} bytes.",
    ),
    (
        errors.ExpectationFailed,
        HTTPStatus.EXPECTATION_FAILED,
        "The only expectation supported is 100-continue.",
    ),
    (
        errors.UnsupportedTransferCoding,
        HTTPStatus.BAD_REQUEST,
        "The only transfer coding supported is chunked.",
    ),
    (
        errors.ParseException,
        HTTPStatus.BAD_REQUEST,
        "The request is not valid HTTP/1.1; check its request line, headers and length.",
    ),
)
OUR_FAULT = (errors.InvalidResponseHeader, errors.InvalidResponseHeaderName, errors.ConfigurationProblem)


class JSONErrorWorker(ThreadWorker):
    """Answers what it refuses before the application sees it in the application's form, not as a page."""

    def handle_error(self, req: object, client: object, addr: tuple[str, int], exc: Exception) -> None:
        """Log ``exc`` and answer in the body of all API errors: ``code``, ``title`` and ``description``."""
        refusal = next((refusal for refusal in NOT_TAKEN if isinstance(exc, refusal[0])), None)
        if refusal is None or isinstance(exc, OUR_FAULT):
            super().handle_error(req, client, addr, exc)  # a 500, with its trace in the log
            return
        _, status, description = refusal
        self.log.warning("Invalid request from %s: %s", (addr or ("a socket",))[0], type(exc).__name__)
        body = json.dumps({"code": status.value, "title": status.phrase, "description": description})
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\nContent-Type: application/json"
        )
        try:
            util.write_nonblock(
                client, f"{head}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode("ascii")
            )
        except OSError as error:
            self.log.debug("The client did not wait for the answer: %s", error)


worker_class = JSONErrorWorker
MANAGE = Path(__file__).resolve().parent.parent / "manage.py"


def on_starting(server: object) -> None:  # noqa: ARG001  # gunicorn's signature
    """In the parent: refuse bad settings, in another process so that no code is loaded before the fork."""
    checked = subprocess.run([sys.executable, str(MANAGE), "check"], stdout=subprocess.DEVNULL, check=False)
    if checked.returncode:
        sys.exit("Keepsite does not start like this; `manage.py check` shows the same.")
    metrics_files.share(state_dir)
    metrics_files.forget_the_dead(state_dir / "metrics")


def pre_fork(server: object, worker: object) -> None:  # noqa: ARG001  # gunicorn's signature
    """In the parent: refuse to fork with a PKCS#11 module loaded, as --preload may bring about."""
    if "hsm.library" in sys.modules:
        from keepsite import startup  # noqa: PLC0415  # it is here already, with all it imports

        startup.refuse_modules_before_fork()


def post_worker_init(worker: Any) -> None:  # Any: gunicorn's workers have no common type
    """After the fork and the application's import: the first request finds the token ready."""
    from keepsite import startup  # noqa: PLC0415  # needs the application's settings

    def replace(_: str) -> None:
        """Stop accepting, finish what can be finished, and end; the arbiter starts another worker."""
        os.kill(worker.pid, signal.SIGTERM)

    startup.ask_the_token(threads=worker.cfg.threads, replace=replace)
    startup.report()


def worker_exit(server: object, worker: object) -> None:  # noqa: ARG001  # gunicorn's signature
    """A thread that hangs in a PKCS#11 module would keep the interpreter from ending: end without it."""
    from hsm import provider  # noqa: PLC0415  # needs the application's settings

    if provider.has_calls_in_flight():
        os._exit(0)
