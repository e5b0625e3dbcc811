"""Three RabbitMQ nodes on hosts of their own, behind one address, as operators are told to run them."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import amqp

from tests.support.servers.hosts import Host, Switch
from tests.support.servers.ports import free_ports
from tests.support.servers.rabbitmq import LAUNCHER, USER
from tests.support.servers.rabbitmq_definitions import DEPLOYED, definitions
from tests.support.servers.server import Server, ServerFailed
from tests.support.waiting import wait_until

NAMES = ("mq1", "mq2", "mq3")
AMQP_PORT = 5672  # each host has its own
QUIET = "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none"  # three idle nodes on two cores


class Node:
    """One node: its host, folder and processes."""

    def __init__(self, name: str, host: Host, folder: Path) -> None:
        self.name, self.host, self.folder = name, host, folder
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def erlang_name(self) -> str:
        """As the cluster calls it."""
        return f"rabbit@{self.host.address}"

    def environment(self) -> dict[str, str]:
        """Nothing of the system's own RabbitMQ is read or written."""
        return {
            "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            "LANG": "C.UTF-8",
            "HOME": str(self.folder),  # the cookie
            "RABBITMQ_USE_LONGNAME": "true",
            "RABBITMQ_NODENAME": self.erlang_name,
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": QUIET,
            "RABBITMQ_CTL_ERL_ARGS": "+S 1:1",
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none.conf"),  # not /etc/rabbitmq/rabbitmq-env.conf
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "logs"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
        }


class RabbitMQCluster(Server):
    """Three nodes whose hosts can be cut off and whose processes can be killed; haproxy before them."""

    name = "rabbitmq-cluster"
    start_timeout_s = 180.0

    def __init__(self) -> None:
        super().__init__()
        self._password = secrets.token_hex(16)
        self._switch = Switch(len(NAMES))
        self.port = 0
        self.nodes: list[Node] = []

    @property
    def url(self) -> str:
        return f"amqp://{USER}:{self._password}@127.0.0.1:{self.port}//"

    def url_of(self, node: Node) -> str:
        """Of one node, past the balancer."""
        return f"amqp://{USER}:{self._password}@{node.host.address}:{AMQP_PORT}//"

    def kill(self, node: Node) -> None:
        """End a node as ``kill -9`` does: its peers and clients see connections reset."""
        os.killpg(node.process.pid, signal.SIGKILL)
        node.process.wait()
        self._processes.remove(node.process)
        node.process = None

    def bring_back(self, node: Node) -> None:
        """Start a killed node again; it rejoins by itself."""
        self._run(node)

    def cut(self, node: Node) -> None:
        """Cut a node off from everybody, silently."""
        self._switch.cut(node.host)

    def mend(self, node: Node) -> None:
        """Connect it again."""
        self._switch.mend(node.host)

    def leader_of(self, queue: str) -> Node:
        """The node that leads a quorum queue."""
        asked = next(node for node in self.nodes if node.process)
        rows = json.loads(self.ctl(asked, "list_queues", "name", "leader", "--formatter", "json", "--silent"))
        leader = next(row["leader"] for row in rows if row["name"] == queue)
        return next(node for node in self.nodes if node.erlang_name == leader)

    def running(self, node: Node) -> int:
        """How many nodes ``node`` sees at work."""
        shown = json.loads(self.ctl(node, "cluster_status", "--formatter", "json", "--silent"))
        return len(shown["running_nodes"])

    def ctl(self, node: Node, *arguments: str) -> str:
        """What ``rabbitmqctl`` says on that node's host."""
        command = ["/usr/lib/rabbitmq/bin/rabbitmqctl", "--longnames", "-n", node.erlang_name, *arguments]
        done = subprocess.run(
            node.host.command(*command), env=node.environment(), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ServerFailed(f"rabbitmqctl {arguments[0]}: {done.stdout}{done.stderr}")
        return done.stdout

    def node_answers(self, node: Node) -> bool:
        """Whether a client can log in to one node."""
        return _answers(node.host.address, AMQP_PORT, self._password)

    def stop(self) -> None:
        super().stop()
        self._switch.down()

    def _launch(self) -> None:
        epmd = shutil.which("epmd")
        if epmd is None or not LAUNCHER.exists() or shutil.which("haproxy") is None:
            raise ServerFailed("rabbitmq-server or haproxy is not installed; `make test` installs them")
        self._switch.up()
        cookie = secrets.token_hex(16)
        for name, host in zip(NAMES, self._switch.hosts, strict=True):
            node = Node(name, host, self.folder / name)
            node.folder.mkdir()
            (node.folder / ".erlang.cookie").write_text(cookie)
            (node.folder / ".erlang.cookie").chmod(0o400)
            (node.folder / "plugins").write_text("[].\n")
            wanted = node.folder / "definitions.json"
            wanted.write_text(json.dumps(definitions(user=USER, password=self._password, may=r"^keepsite\.")))
            (node.folder / "rabbitmq.conf").write_text(
                self._here("rabbitmq.conf") + f"load_definitions = {wanted}\n"
            )
            self.nodes.append(node)
            self._spawn(host.command(epmd), node.environment())
            self._run(node)
            if node is self.nodes[0]:
                # One that joins while the first still makes the vhost ends up without it, for good.
                wait_until(lambda: self.node_answers(self.nodes[0]), self.start_timeout_s)
        (self.port,) = free_ports(1)
        balancer = self.folder / "haproxy.cfg"
        balancer.write_text(self._here("haproxy.cfg").replace("127.0.0.1:5672", f"127.0.0.1:{self.port}"))
        self._spawn(["haproxy", "-db", "-f", str(balancer)])

    def _run(self, node: Node) -> None:
        self._spawn(node.host.command(str(LAUNCHER)), node.environment())
        node.process = self._processes[-1]

    def _here(self, name: str) -> str:
        """A deployed file with the addresses of this cluster."""
        text = (DEPLOYED / name).read_text()
        for known, host in zip(NAMES, self._switch.hosts, strict=True):
            text = text.replace(f"@{known}", f"@{host.address}").replace(f" {known}:", f" {host.address}:")
        return text

    def _answers(self) -> bool:
        if not all(self.node_answers(node) for node in self.nodes):
            return False
        if self.running(self.nodes[0]) != len(NAMES):
            return False
        return _answers("127.0.0.1", self.port, self._password)


def _answers(address: str, port: int, password: str) -> bool:
    try:
        socket.create_connection((address, port), timeout=1).close()
        with amqp.Connection(f"{address}:{port}", userid=USER, password=password, connect_timeout=5):
            return True
    except (OSError, amqp.exceptions.AMQPError):
        return False
