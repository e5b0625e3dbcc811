import pytest

from keepsite import env as environment


class TestFiles:
    def test_value_may_stand_in_a_file_whose_line_end_is_dropped(self, monkeypatch, tmp_path):
        (tmp_path / "url").write_text("sqlite:////somewhere\n")
        monkeypatch.setenv("KEEPSITE_POLICY_FILE_FILE", str(tmp_path / "url"))

        assert environment.env("KEEPSITE_POLICY_FILE") == "sqlite:////somewhere"


class TestUnknownVariables:
    def test_misspelt_name_is_found_and_known_ones_are_not(self, monkeypatch):
        monkeypatch.setenv("KEEPSITE_WORKER", "2")
        monkeypatch.setenv("KEEPSITE_WORKERS", "2")
        monkeypatch.setenv("KEEPSITE_SECRET_KEY_FILE", "/etc/key")

        found = environment.unknown_variables()

        assert "KEEPSITE_WORKER" in found
        assert not {"KEEPSITE_WORKERS", "KEEPSITE_SECRET_KEY_FILE"} & {*found}


class TestDatabase:
    def test_sqlite_writers_queue_and_commits_reach_the_disk(self, monkeypatch):
        monkeypatch.setenv("KEEPSITE_DATABASE_URL", "sqlite:////tmp/x.sqlite3")

        options = environment.database("KEEPSITE_DATABASE_URL")["OPTIONS"]

        assert options["transaction_mode"] == "IMMEDIATE"
        assert "synchronous=FULL" in options["init_command"]

    def test_mariadb_reads_what_another_node_committed(self, monkeypatch):
        monkeypatch.setenv("KEEPSITE_DATABASE_URL", "mysql://u:p@127.0.0.1:3306/keepsite")

        database = environment.database("KEEPSITE_DATABASE_URL")

        assert "wsrep_sync_wait=1" in database["OPTIONS"]["init_command"]
        assert database["OPTIONS"]["isolation_level"] == "read committed"
        assert database["NAME"] == "keepsite"


class TestBroker:
    def test_folder_becomes_the_filesystem_transport(self, monkeypatch):
        monkeypatch.setenv("KEEPSITE_BROKER_URL", "filesystem:///tmp/broker")

        url, options = environment.broker("KEEPSITE_BROKER_URL")

        assert url == "filesystem://"
        assert options["data_folder_in"] == options["data_folder_out"] == "/tmp/broker/messages"
        assert [str(folder) for folder in environment.broker_folders(options)] == [
            "/tmp/broker/messages",
            "/tmp/broker/control",
        ]

    @pytest.mark.parametrize("url", ["amqp://u:p@127.0.0.1:5672//"])
    def test_rabbitmq_must_confirm(self, monkeypatch, url):
        monkeypatch.setenv("KEEPSITE_BROKER_URL", url)

        assert environment.broker("KEEPSITE_BROKER_URL") == (url, {"confirm_publish": True})
