import json
import os
import secrets
import shutil
from pathlib import Path

import amqp

from tests.support.servers.ports import free_ports
from tests.support.servers.rabbitmq_definitions import definitions
from tests.support.servers.server import Server, ServerFailed

# Debian's /usr/sbin/rabbitmq-server switches to the system's user and folders; this one does not.
LAUNCHER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
USER = "keepsite"


class RabbitMQ(Server):
    """One node with the deployed policies, and its own port mapper (epmd), cookie and folders."""

    name = "rabbitmq"

    def __init__(self) -> None:
        super().__init__()
        self.port = 0
        self._password = secrets.token_hex(16)

    @property
    def url(self) -> str:
        return f"amqp://{USER}:{self._password}@127.0.0.1:{self.port}//"

    @property
    def pid(self) -> int:
        """The node's process, whose children are part of it."""
        return self._processes[-1].pid

    def _launch(self) -> None:
        epmd = shutil.which("epmd")
        if epmd is None or not LAUNCHER.exists():
            raise ServerFailed("rabbitmq-server is not installed; `make test` installs it")
        self.port, dist_port, epmd_port = free_ports(3)
        env = self._environment(dist_port=dist_port, epmd_port=epmd_port)
        self._write_configuration()
        # Started here and in the foreground: else the node starts one that outlives it.
        self._spawn([epmd, "-port", str(epmd_port), "-address", "127.0.0.1"], env)
        self._spawn([str(LAUNCHER)], env)

    def _answers(self) -> bool:
        try:
            with amqp.Connection(
                f"127.0.0.1:{self.port}", userid=USER, password=self._password, connect_timeout=5
            ):
                return True
        except (OSError, amqp.exceptions.AMQPError):
            return False

    def _write_configuration(self) -> None:
        (self.folder / "plugins").write_text("[].\n")
        wanted = self.folder / "definitions.json"
        wanted.touch(mode=0o600)
        wanted.write_text(json.dumps(definitions(user=USER, password=self._password, may=".*")))
        configuration = self.folder / "rabbitmq.conf"
        configuration.write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            f"load_definitions = {wanted}\n"
            "disk_free_limit.absolute = 50MB\n"
        )

    def _environment(self, *, dist_port: int, epmd_port: int) -> dict[str, str]:
        folder = self.folder
        return {
            "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            "LANG": "C.UTF-8",
            "HOME": str(folder),  # the cookie
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(epmd_port),
            "RABBITMQ_NODENAME": f"keepsite-{self.port}@localhost",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(dist_port),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none.conf"),  # not /etc/rabbitmq/rabbitmq-env.conf
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "logs"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
        }
