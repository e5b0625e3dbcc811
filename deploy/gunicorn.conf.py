"""How gunicorn serves Keepsite: ``gunicorn -c deploy/gunicorn.conf.py keepsite.wsgi``.

The numbers come from the environment; ``keepsite/env.py`` describes them.
"""

import os
import subprocess
import sys
from pathlib import Path

bind = os.environ.get("KEEPSITE_BIND", "127.0.0.1:9311")
worker_class = "gthread"
workers = int(os.environ.get("KEEPSITE_WORKERS", "2"))
threads = int(os.environ.get("KEEPSITE_THREADS", "8"))
preload_app = False  # the PKCS#11 module must be loaded after the fork

timeout = 60  # s without a sign of life before a worker is replaced
graceful_timeout = 30  # s for requests under way when told to stop
keepalive = 75  # s, longer than load balancers keep an idle connection

limit_request_line = 8190  # bytes: list filters travel in the query
limit_request_fields = 64
limit_request_field_size = 8190  # bytes: Keystone tokens travel in a header

# Keepsite decides itself whose X-Forwarded-Proto it believes (KEEPSITE_TRUSTED_PROXIES).
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""
header_map = "drop"  # X_Roles would be X-Roles to the application

accesslog = None  # Keepsite logs requests, with their ids
errorlog = "-"
control_socket_disable = True  # by default one socket per user, shared by every gunicorn of theirs
umask = 0o077
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  # heartbeats never wait on a disk

MANAGE = Path(__file__).resolve().parent.parent / "manage.py"


def on_starting(server: object) -> None:  # noqa: ARG001  # gunicorn's signature
    """In the parent: refuse bad settings, in another process so that no code is loaded before the fork."""
    checked = subprocess.run([sys.executable, str(MANAGE), "check"], stdout=subprocess.DEVNULL, check=False)
    if checked.returncode:
        sys.exit("Keepsite does not start like this; `manage.py check` shows the same.")


def post_worker_init(worker: object) -> None:  # noqa: ARG001  # gunicorn's signature
    """After the fork and the application's import: the first request finds the token ready."""
    from keepsite import startup  # noqa: PLC0415  # needs the application's settings

    startup.ask_the_token()
