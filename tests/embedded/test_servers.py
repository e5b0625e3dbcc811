import contextlib
import shutil

import MySQLdb
import psutil
import pytest

from tests.support.servers.mariadb import MariaDB
from tests.support.servers.rabbitmq import RabbitMQ
from tests.support.servers.server import ServerFailed

pytestmark = pytest.mark.processes


def using(folder):
    """Processes that have the folder in their arguments or environment, as all that serve from it do."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = [*process.cmdline(), *process.environ().values()]
            if any(str(folder) in word for word in words):
                found.append(process)
    return found


class TestServers:
    @pytest.mark.parametrize("kind", [MariaDB, RabbitMQ])
    def test_two_run_side_by_side_and_leave_nothing(self, kind):
        with kind() as one, kind() as two:
            folders = [one.folder, two.folder]
            assert one.url != two.url
            assert all(using(folder) for folder in folders)

        assert not [process for folder in folders for process in using(folder)]
        assert not [folder for folder in folders if folder.exists()]

    @pytest.mark.parametrize("kind", [MariaDB, RabbitMQ])
    def test_a_server_that_cannot_start_says_why_and_keeps_its_files(self, kind, monkeypatch, capfd):
        broken = kind()
        broken.start_timeout_s = 3
        monkeypatch.setattr("tests.support.servers.mariadb.DATABASE", "not a name")
        monkeypatch.setattr("tests.support.servers.rabbitmq.USER", "x\nlisteners.tcp.2 = nonsense")

        with pytest.raises(ServerFailed):
            broken.start()

        assert str(broken.folder) in capfd.readouterr().err
        assert broken.log_file.exists()
        shutil.rmtree(broken.folder)

    def test_mariadb_is_durable_at_commit(self):
        with MariaDB() as server:
            password = server.url.split(":")[2].split("@")[0]
            connection = MySQLdb.connect(
                host="127.0.0.1", port=server.port, user="keepsite", password=password
            )
            cursor = connection.cursor()
            cursor.execute("SELECT @@innodb_flush_log_at_trx_commit")

            assert cursor.fetchone() == (1,)
            connection.close()
