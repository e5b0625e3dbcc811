import os
import shutil
import signal
import socket

from tests.support.servers.ports import free_ports
from tests.support.servers.server import Server, ServerFailed


class Memcached(Server):
    """A memcached of our own, small; may be killed, brought back on its port, frozen and thawed."""

    name = "memcached"

    def __init__(self) -> None:
        super().__init__()
        self.port = 0

    @property
    def url(self) -> str:
        """``host:port``, as KEEPSITE_LIMITS_MEMCACHED and Keystone's middleware take it."""
        return f"127.0.0.1:{self.port}"

    def kill(self) -> None:
        """End it as a power cut would; its port refuses connections."""
        process = self._processes.pop()
        process.kill()
        process.wait()

    def bring_back(self) -> None:
        """Start it again, empty, on the same port."""
        self._run()
        self._wait_until_it_answers()

    def runs(self) -> bool:
        """Whether there is a process."""
        return bool(self._processes)

    def flush(self) -> None:
        """Forget every key."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(b"flush_all\r\n")
            connection.recv(64)

    def freeze(self) -> None:
        """Let it take connections and answer nothing, as a host that hangs does."""
        self._processes[-1].send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        for process in self._processes:
            process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self.thaw()  # a frozen one would not hear that it should end
        super().stop()

    def _launch(self) -> None:
        (self.port,) = free_ports(1)
        self._run()

    def _run(self) -> None:
        program = shutil.which("memcached", path=f"{os.environ.get('PATH', '')}:/usr/bin")
        if program is None:
            raise ServerFailed("memcached is not installed; `make test` installs it")
        as_root = ["-u", "root"] if os.getuid() == 0 else []
        self._spawn(
            [program, *as_root, "-l", "127.0.0.1", "-p", str(self.port), "-U", "0", "-m", "16", "-t", "1"]
        )

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.sendall(b"version\r\n")
                return connection.recv(64).startswith(b"VERSION")
        except OSError:
            return False
