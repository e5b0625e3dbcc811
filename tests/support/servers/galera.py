"""Two MariaDB masters in one Galera cluster, both written to, as operators are told to run three."""

import re
import shutil
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import Self

import MySQLdb

from tests.support.servers.mariadb import USER, MariaDB
from tests.support.servers.ports import free_ports
from tests.support.servers.server import ServerFailed

PROVIDER = Path("/usr/lib/galera/libgalera_smm.so")
MEMBERS = 2
# Every member begins with the same files, so that the whole state of one is never sent to another:
# what was written since is, by the provider itself, once both sides have been told that all is there.
TRANSFER = "present"  # the name of our own way to send the whole state
TRANSFER_SCRIPT = """\
#!/bin/sh
case "$*" in
    *donor*) echo "done {position}" ;;
    *) printf 'ready 127.0.0.1\\n%s\\n' "{position}" ;;
esac
"""
SAVED_POSITION = re.compile(r"^uuid:\s+(\S+)\nseqno:\s+(\d+)$", re.MULTILINE)


class Galera:
    """A cluster of its own on private ports; the members share user, password and everything written."""

    def __init__(self) -> None:
        ports = free_ports(2 * MEMBERS)
        self._group, self._transfers = ports[:MEMBERS], ports[MEMBERS:]
        self.members: list[_Member] = []
        self._running = ExitStack()

    @property
    def urls(self) -> Sequence[str]:
        """The address of each member."""
        return [member.url for member in self.members]

    @property
    def conflicts(self) -> int:
        """How often a member had to take back what another had been first to commit."""
        return sum(member.conflicts for member in self.members)

    def __enter__(self) -> Self:
        """Start every member, from one state; return once each is in the cluster.

        Raises:
            ServerFailed: the provider is not installed, or one did not start.
        """
        if not PROVIDER.exists():
            raise ServerFailed("galera-4 is not installed; `make test` installs it")
        address = ",".join(f"127.0.0.1:{port}" for port in self._group)
        try:
            for group_port, transfer_port in zip(self._group, self._transfers, strict=True):
                first = self.members[0] if self.members else None
                member = _Member(address, group_port=group_port, transfer_port=transfer_port, first=first)
                self._running.enter_context(member)
                self.members.append(member)
        except BaseException:
            self._running.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()


class _Member(MariaDB):
    """One master; without ``first`` it begins the cluster, else it starts with what that one began with."""

    name = "galera"

    def __init__(
        self, cluster_address: str, *, group_port: int, transfer_port: int, first: "_Member | None"
    ) -> None:
        super().__init__()
        self._cluster_address = cluster_address
        self._group_port, self._transfer_port = group_port, transfer_port
        self._first = first
        if first is not None:
            self._password = first._password  # of its own kind

    def _launch(self) -> None:
        (self.port,) = free_ports(1)
        self._write_init_file()
        data = self.folder / "data"
        if self._first is None:
            self._create_system_tables(data)
            self._begin(data)
        else:
            shutil.copytree(self._first._beginning, data)  # of its own kind
        self._run()

    def _begin(self, data: Path) -> None:
        """Give the cluster a state to begin with, by one start, and keep it for the members to come."""
        self._run()
        self._wait_until_it_answers()
        self._end(self._processes.pop())
        shutil.copytree(data, self._beginning)
        position = ":".join(SAVED_POSITION.search((data / "grastate.dat").read_text()).groups())
        self._transfer.write_text(TRANSFER_SCRIPT.format(position=position))
        self._transfer.chmod(0o700)

    def _write_init_file(self) -> None:
        """Every member makes the user by itself, before it is in the cluster."""
        super()._write_init_file()
        statements = self._init_file.read_text()
        self._init_file.write_text(f"SET SESSION wsrep_on = OFF;\n{statements}")

    @property
    def _beginning(self) -> Path:
        return self.folder / "beginning"

    @property
    def _transfer(self) -> Path:
        first = self._first or self
        return first.folder / f"wsrep_sst_{TRANSFER}"

    def _environment(self) -> dict[str, str]:
        """With the folder in which it finds the script that it runs when a member joins."""
        return {"PATH": f"{self._transfer.parent}:/usr/sbin:/usr/bin:/sbin:/bin"}

    def _more_options(self) -> list[str]:
        """Source: Galera, its system variables and provider options."""
        provider = ";".join(
            (
                f"gmcast.listen_addr=tcp://127.0.0.1:{self._group_port}",
                f"ist.recv_addr=127.0.0.1:{self._transfer_port}",
                "gcache.size=16M",
            )
        )
        return [
            "--wsrep-on=ON",
            f"--wsrep-provider={PROVIDER}",
            f"--wsrep-provider-options={provider}",
            f"--wsrep-cluster-address=gcomm://{self._cluster_address}",
            f"--wsrep-node-address=127.0.0.1:{self._group_port}",
            f"--wsrep-sst-method={TRANSFER}",
            "--binlog-format=ROW",
            "--default-storage-engine=InnoDB",
            "--innodb-autoinc-lock-mode=2",
            *([] if self._first else ["--wsrep-new-cluster"]),
        ]

    @property
    def conflicts(self) -> int:
        """Source: Galera, its status variables."""
        status = self._status()
        return int(status["wsrep_local_cert_failures"]) + int(status["wsrep_local_bf_aborts"])

    def _answers(self) -> bool:
        """Whether it is in the cluster: outside of it, it lets clients log in and refuses every statement."""
        try:
            return self._status()["wsrep_ready"] == "ON"
        except MySQLdb.OperationalError:
            return False

    def _status(self) -> dict[str, str]:
        connection = MySQLdb.connect(
            host="127.0.0.1", port=self.port, user=USER, password=self._password, connect_timeout=2
        )
        with closing(connection):
            cursor = connection.cursor()
            cursor.execute("SHOW STATUS LIKE 'wsrep%'")
            return dict(cursor.fetchall())
