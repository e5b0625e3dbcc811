import os
import pwd
import secrets
import shutil
import subprocess
from pathlib import Path

import MySQLdb

from tests.support.servers.ports import free_ports
from tests.support.servers.server import Server, ServerFailed

DATABASE = "keepsite"
USER = "keepsite"


class MariaDB(Server):
    """A MariaDB of our own: durable at commit as in production, small, and gone afterwards."""

    name = "mariadb"

    def __init__(self) -> None:
        super().__init__()
        self.port = 0
        self._password = secrets.token_hex(16)

    @property
    def url(self) -> str:
        return f"mysql://{USER}:{self._password}@127.0.0.1:{self.port}/{DATABASE}"

    def _launch(self) -> None:
        (self.port,) = free_ports(1)
        self._create_system_tables(self.folder / "data")
        self._write_init_file()
        self._run()

    def kill(self) -> None:
        """End it as a power cut would."""
        process = self._processes.pop()
        process.kill()
        process.wait()

    def bring_back(self) -> None:
        """Start it again on its data and port; it recovers by itself."""
        self._run()
        self._wait_until_it_answers()

    def _run(self) -> None:
        data = self.folder / "data"
        self._spawn(
            [
                _program("mariadbd"),
                "--no-defaults",  # first, or /etc/mysql is read
                *_as_root_if_root(),
                f"--datadir={data}",
                f"--socket={self.folder / 'socket'}",
                f"--pid-file={self.folder / 'pid'}",
                f"--init-file={self._init_file}",
                "--bind-address=127.0.0.1",
                f"--port={self.port}",
                "--skip-name-resolve",
                "--character-set-server=utf8mb4",
                "--collation-server=utf8mb4_general_ci",
                "--innodb-flush-log-at-trx-commit=1",  # what production promises
                "--innodb-buffer-pool-size=128M",
                "--innodb-log-file-size=48M",
                "--skip-log-bin",
                "--performance-schema=OFF",
                *self._more_options(),
            ],
            self._environment(),
        )

    def _more_options(self) -> list[str]:
        """What a kind of MariaDB adds."""
        return []

    def _environment(self) -> dict[str, str] | None:
        """Of the server; ours unless a kind of MariaDB says otherwise."""
        return None

    def _answers(self) -> bool:
        try:
            MySQLdb.connect(
                host="127.0.0.1",
                port=self.port,
                user=USER,
                password=self._password,
                database=DATABASE,
                connect_timeout=2,
            ).close()
        except MySQLdb.OperationalError:
            return False
        return True

    def _create_system_tables(self, data: Path) -> None:
        done = subprocess.run(
            [
                _program("mariadb-install-db"),
                "--no-defaults",
                *_as_root_if_root(),
                f"--datadir={data}",
                "--skip-test-db",
                "--skip-name-resolve",
                "--auth-root-authentication-method=socket",
                f"--auth-root-socket-user={pwd.getpwuid(os.getuid()).pw_name}",
            ],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        self.log_file.write_text(done.stdout + done.stderr)
        if done.returncode:
            raise ServerFailed(f"mariadb-install-db failed:\n{self._log_tail()}")

    @property
    def _init_file(self) -> Path:
        return self.folder / "init.sql"

    def _write_init_file(self) -> None:
        """The statements that make our user: in a file, because arguments can be read by everyone."""
        self._init_file.touch(mode=0o600)
        self._init_file.write_text(  # run at every start
            f"CREATE DATABASE IF NOT EXISTS {DATABASE};\n"
            f"CREATE USER IF NOT EXISTS '{USER}'@'127.0.0.1' IDENTIFIED BY '{self._password}';\n"
            f"GRANT ALL ON *.* TO '{USER}'@'127.0.0.1';\n"
        )


def _as_root_if_root() -> list[str]:
    """MariaDB refuses to run as root unless told to; other users may not choose."""
    return ["--user=root"] if os.getuid() == 0 else []


def _program(name: str) -> str:
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin")
    if path is None:
        raise ServerFailed(f"{name} is not installed; `make test` installs it")
    return path
