import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.support.servers.ports import free_ports
from tests.support.servers.server import Server, ServerFailed

CONFIG = Path(__file__).resolve().parents[3] / "deploy/haproxy/pool.cfg"


class HAProxy(Server):
    """One pool's balancer, as deploy/haproxy/pool.cfg describes it.

    ``nodes`` are names with addresses; every API listens on ``api_port``, every agent on ``agent_port``,
    as on hosts of their own, which is what loopback's many addresses stand for.
    """

    name = "haproxy"

    def __init__(self, pool: str, nodes: Mapping[str, str], *, api_port: int, agent_port: int) -> None:
        super().__init__()
        self.pool, self.nodes, self.api_port, self.agent_port = pool, nodes, api_port, agent_port
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def reload(self) -> None:
        """A new process takes over, as on ``systemctl reload haproxy``; the old one ends its requests."""
        state = self._ask("show servers state")
        (self.folder / "server-state").write_text(state)
        self._processes[0].send_signal(signal.SIGUSR2)

    def _launch(self) -> None:
        program = shutil.which("haproxy") or "/usr/sbin/haproxy"
        if not Path(program).exists():
            raise ServerFailed("haproxy is not installed; `make test` installs it")
        (self.port,) = free_ports(1)
        config = self.folder / "haproxy.cfg"
        config.write_text(self._configuration())
        checked = subprocess.run([program, "-c", "-f", config], capture_output=True, text=True, check=False)
        if checked.returncode:
            raise ServerFailed(f"haproxy refuses deploy/haproxy/pool.cfg:\n{checked.stdout}{checked.stderr}")
        self._spawn([program, "-W", "-f", str(config)])

    def _configuration(self) -> str:
        servers = [f"server {name} {address}:{self.api_port}" for name, address in self.nodes.items()]
        filled = {
            "@POOL@": self.pool,
            "@BIND@": f"127.0.0.1:{self.port}",
            "@SOCKET@": str(self.folder / "admin.sock"),
            "@STATE@": str(self.folder / "server-state"),
            "@API_PORT@": str(self.api_port),
            "@AGENT_PORT@": str(self.agent_port),
            "@SAFE_SERVERS@": "\n    ".join(f"{server} check" for server in servers),
            "@UNSAFE_SERVERS@": "\n    ".join(
                f"{server} track safe/{name}" for server, name in zip(servers, self.nodes, strict=True)
            ),
        }
        text = CONFIG.read_text().split("\n\n", 1)[1]  # without the explanation
        for name, value in filled.items():
            text = text.replace(name, value)
        return text

    def _answers(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def _ask(self, command: str) -> str:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.folder / "admin.sock"))
            client.sendall(f"{command}\n".encode())
            answer = b""
            while part := client.recv(65_536):
                answer += part
        return answer.decode()
