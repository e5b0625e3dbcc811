"""The product as separate processes on a state of its own, to be talked to, killed and started again."""

import contextlib
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

from tests.support.pkcs11_standins import PIN, Token
from tests.support.servers.ports import free_ports
from tests.support.waiting import wait_until

CHECKOUT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 60
ALL = ("api", "worker", "relay")
COMMANDS = {
    "api": ["-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "keepsite.wsgi"],
    "worker": [
        "-m", "celery", "-A", "keepsite", "worker",
        "--concurrency", "1", "--without-gossip", "--without-mingle",
    ],
    "relay": ["manage.py", "order_relay"],
    "listener": ["manage.py", "keystone_listener"],
}  # fmt: skip


class Product:
    """A Keepsite with database, broker and token of its own; ``start`` and ``kill`` by process name."""

    def __init__(
        self, folder, *, database_url=None, broker_url=None, pin=PIN, checkout=CHECKOUT, **environment
    ):
        self.checkout = checkout
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.token = Token(self.folder, pin=pin)
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **{
                name: value for name, value in os.environ.items() if not name.startswith(("KEEPSITE_", "P11"))
            },
            "DJANGO_SETTINGS_MODULE": "keepsite.settings",
            "KEEPSITE_SECRET_KEY": "of a test's own product, long enough for Django: 0123456789abcdefghijkl",
            "KEEPSITE_STATE_DIR": str(self.folder),
            "KEEPSITE_DATABASE_URL": database_url or f"sqlite:///{self.folder}/db.sqlite3",
            "KEEPSITE_BROKER_URL": broker_url or f"filesystem://{self.folder}/broker",
            "KEEPSITE_HSM_CONFIG": str(self.token.config_file()),
            "KEEPSITE_BIND": f"127.0.0.1:{self.port}",
            "KEEPSITE_TLS": "off",
            "KEEPSITE_AUDIT_SEAL_S": "3600",  # tests hold and count the PKCS#11 calls of all processes
            "KEEPSITE_WORKERS": "1",
            **self.token.environment,
            **environment,
        }
        self.processes = {}

    def setup(self):
        """Database, master key, an API key of project p1."""
        self.key = self._python("-m", "tests.support.first_setup").split()[-1]
        return self

    @contextlib.contextmanager
    def serving(self):
        """Set up and started; ended with the block."""
        self.setup()
        try:
            yield self.start()
        finally:
            self.stop()

    def make_key(self, *, project, user, roles):
        """A new API key."""
        wanted = [option for role in roles for option in ("--role", role)]
        return self.manage(
            "api_key", "create", "--project", project, "--user", user, "--name", "tests", *wanted
        ).strip()

    def manage(self, *arguments, check=True):
        """What a management command printed."""
        return self._python("manage.py", *arguments, check=check)

    def _python(self, *arguments, check=True):
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.checkout, env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if check:
            assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, *names):
        """Start these processes, or all, and wait until the API answers."""
        for name in names or ALL:
            log = (self.folder / f"{name}.log").open("ab")
            self.processes[name] = subprocess.Popen(
                [sys.executable, *COMMANDS[name.partition("-")[0]]],  # "worker-2" is one more worker
                cwd=self.checkout, env=self.environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
            log.close()
        if "api" in self.processes:
            wait_until(self.is_healthy, START_TIMEOUT_S)
        return self

    def is_healthy(self):
        assert self.processes["api"].poll() is None, (self.folder / "api.log").read_text()
        try:
            return urllib.request.urlopen(f"{self.url}/healthcheck", timeout=2).status == 200
        except OSError:
            return False

    def kill(self, name):
        """End a process and all it forked as a power cut would."""
        process = self.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def freeze(self, name):
        """Let a process stand still, with all it forked."""
        os.killpg(self.processes[name].pid, signal.SIGSTOP)

    def thaw(self, name):
        """Let it go on."""
        os.killpg(self.processes[name].pid, signal.SIGCONT)

    def stop(self):
        """End everything politely, then by force."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            process.wait()
        self.processes.clear()

    def written(self):
        """Every byte that the product wrote, by file."""
        return {path: path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}
