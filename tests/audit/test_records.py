"""Audit records: one per call and one per operator's act, appended and never changed."""

import json
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.core.management import call_command

from keepsite.audit import files
from keepsite.identity import api_keys
from keepsite.identity.models import APIKey
from keepsite.identity.operators import command_principal
from keepsite.metrics.audit import NOT_WRITTEN
from orders_app.models import Order
from orders_app.tasks import fulfil
from secrets_app.models import Secret
from tests.support.callers import Caller

UNKNOWN = "/v1/secrets/5d4f0c5e-2f4b-4b1e-9a51-0a8f3c1d2e3f"
NOVA = {"service": "nova", "resource_type": "instance", "resource_id": "i-1"}


def today():
    return Path(django_settings.AUDIT_DIR) / f"audit-{datetime.now(UTC):%Y%m%d}.jsonl"


@pytest.fixture
def new_records(request):
    """The records written since the test began, or since it was last asked."""
    seen = today().stat().st_size if today().exists() else 0

    def read():
        nonlocal seen
        with today().open("rb") as file:
            file.seek(seen)
            added = file.read()
        seen += len(added)
        assert added == b"" or added.endswith(b"\n")
        return [json.loads(line) for line in added.splitlines()]

    return read


class TestCalls:
    @pytest.mark.parametrize(
        ("method", "path", "options", "status"),
        [
            ("GET", "/v1", {}, 200),
            ("GET", "/v1/secrets", {}, 200),
            ("POST", "/v1/secrets", {"body": {}}, 201),
            ("POST", "/v1/secrets", {"body": {"bit_length": 0}}, 400),
            ("POST", "/v1/secrets", {"body": "{"}, 400),
            ("GET", "/v1/secrets", {"OpenStack_API_Version": "key-manager 9.9"}, 406),
            ("GET", "/v1/secrets", {"OpenStack_API_Version": "key-manager x"}, 400),
            ("GET", UNKNOWN, {}, 404),
            ("GET", "/v1/nowhere", {}, 404),
            ("PATCH", "/v1/secrets", {}, 405),
            ("GET", "/v1/secrets", {"Accept": "text/html"}, 406),
            ("POST", "/v1/secrets", {"content_type": "text/xml"}, 415),
            ("GET", "/v1/secrets", {"Host": "evil.example"}, 400),
        ],
    )
    def test_every_call_has_one_record_with_its_outcome(
        self, api, new_records, method, path, options, status
    ):
        new_records()
        response = api.call(method, path, **options)

        (record,) = new_records()
        assert response.status_code == record["outcome"] == status
        assert record["kind"] == "api"
        assert record["action"] == f"{method} {path}"
        assert record["request_id"] == response["x-openstack-request-id"]
        assert record["client"] == "127.0.0.1"
        assert record["node"] == "tests"

    @pytest.mark.parametrize(
        ("sent", "is_noted"),
        [
            ("req-0b9e0f3a-51a6-4c6f-9d2e-2f4bd1a1c0de", True),
            ("0b9e0f3a-51a6-4c6f-9d2e-2f4bd1a1c0de", False),
            ('req-0b9e0f3a-51a6-4c6f-9d2e-2f4bd1a1c0de", "forged": "', False),
            ("REQ-0B9E0F3A-51A6-4C6F-9D2E-2F4BD1A1C0DE", False),
            ("", False),
        ],
    )
    def test_the_id_of_the_calling_services_own_request_is_noted(
        self, api, new_records, caplog, sent, is_noted
    ):
        caplog.set_level("INFO")
        caller = api.other(project="its first payload makes a key, which is logged")
        new_records()

        response = caller.post(
            "/v1/secrets",
            {"payload": "x", "payload_content_type": "text/plain"},
            X_Openstack_Request_Id=sent,
        )

        noted = {"global_request_id": sent} if is_noted else {}
        (record,) = new_records()
        (line,) = [line.msg for line in caplog.records if "keyring.pkek_created" in str(line.msg)]
        for told in (record, line):
            assert told["request_id"] == response["x-openstack-request-id"] != sent
            assert {name: told[name] for name in told if name == "global_request_id"} == noted

    def test_it_says_who_called_with_which_key(self, api, new_records):
        new_records()
        api.get("/v1/secrets")

        (record,) = new_records()
        who = {
            "project_id": "p1",
            "user_id": "u1",
            "method": "local",
            "credential_id": APIKey.objects.get().id,
        }
        assert record.items() >= who.items()

    def test_nobody_is_named_where_nobody_was_identified(self, db, new_records):
        Caller("wrong").get("/v1/secrets")

        (record,) = new_records()
        assert record["outcome"] == 401
        assert record["project_id"] is record["user_id"] is record["credential_id"] is None

    def test_a_refused_caller_is_named(self, api, new_records):
        path = api.store("x")
        new_records()
        api.other(project="p2", user="spy").get(f"{path}/payload")

        record = new_records()[-1]
        assert (record["outcome"], record["project_id"], record["user_id"]) == (403, "p2", "spy")
        assert record["acts"] == []

    def test_a_failure_inside_is_recorded_as_500(self, api, new_records, monkeypatch):
        monkeypatch.setattr("secrets_app.services.create_secret", lambda **_: 1 / 0)
        new_records()
        api.post("/v1/secrets", {})

        (record,) = new_records()
        assert record["outcome"] == 500

    def test_each_act_names_its_object(self, api, new_records):
        path = api.store("x")
        subject = f"secret:{path.rpartition('/')[2]}"
        new_records()
        api.get(f"{path}/payload")
        api.post(f"{path}/consumers", NOVA)
        api.delete(f"{path}/consumers", NOVA)
        api.delete(path)

        acts = [act for record in new_records() for act in record["acts"]]
        assert acts == [
            {"action": "payload.read", "subject": subject},
            {"action": "secret_consumer.registered", "subject": subject},
            {"action": "secret_consumer.removed", "subject": subject},
            {"action": "secret.deleted", "subject": subject},
        ]

    def test_creations_name_what_they_made(self, api, new_records):
        new_records()
        path = api.store()
        api.put(path, b"x")
        api.post("/v1/orders", {"type": "key", "meta": {"algorithm": "aes", "bit_length": 256}})

        created, stored, placed = [record["acts"] for record in new_records()]
        secret = f"secret:{Secret.objects.get().id}"
        assert created == [{"action": "secret.created", "subject": secret}]
        assert stored == [{"action": "payload.stored", "subject": secret}]
        assert placed == [{"action": "order.placed", "subject": f"order:{Order.objects.get().id}"}]

    def test_no_payload_and_no_key_is_in_them(self, api, new_records):
        new_records()
        api.get(f"{api.store('hunter2', name='x')}/payload")
        api.post("/v1/secrets", '{"payload": "hunter2"')

        written = json.dumps(new_records())
        assert "hunter2" not in written
        assert api.key not in written
        assert api.key.split("_", 2)[2] not in written

    @pytest.mark.parametrize("path", ["/", "/healthcheck"])
    def test_what_needs_no_identity_has_no_record(self, db, new_records, path):
        Caller(None).get(path)

        assert today().exists() is False or new_records() == []


class TestWorkers:
    @pytest.fixture
    def order(self, api):
        api.post("/v1/orders", {"type": "key", "meta": {"algorithm": "aes", "bit_length": 256}})
        return Order.objects.get()

    def test_a_fulfilled_order_is_recorded_for_its_creator(self, order, new_records):
        new_records()
        fulfil(order.id)

        (record,) = new_records()
        assert (record["kind"], record["action"], record["method"]) == ("act", "order.fulfilled", "worker")
        assert (record["subject"], record["user_id"]) == (f"order:{order.id}", "u1")

    def test_a_failed_one_with_its_reason(self, order, new_records, settings):
        settings.ORDER_MAX_ATTEMPTS = 0
        new_records()
        fulfil(order.id)

        (record,) = new_records()
        assert record["action"] == "order.failed"
        assert "0 attempts" in record["reason"]


class TestOperators:
    def test_keys_made_and_revoked_are_recorded(self, db, new_records):
        call_command("api_key", "create", project="p1", user="u1", role=["member"], name="n")
        row = APIKey.objects.get()
        api_keys.revoke_api_key(row, actor=command_principal())

        created, revoked = new_records()
        assert (created["action"], revoked["action"]) == ("api_key.created", "api_key.revoked")
        assert created["subject"] == revoked["subject"] == f"apikey:{row.id}"
        assert (created["method"], created["outcome"]) == ("command", "done")
        assert created["user_id"] == command_principal().user_id

    def test_a_new_mkek_is_recorded(self, mkek, new_records):
        new_records()
        call_command("mkek_generate", label="audited", activate=True)

        assert [record["action"] for record in new_records()] == ["mkek.generated", "mkek.activated"]


class TestFiles:
    def test_what_is_written_stays_as_it_is(self, api):
        api.get("/v1/secrets")
        before = today().read_bytes()
        api.get("/v1/secrets")

        after = today().read_bytes()
        assert after.startswith(before)
        assert after.count(b"\n") == before.count(b"\n") + 1

    def test_only_the_service_may_read_them(self, api):
        api.get("/v1/secrets")

        assert stat.S_IMODE(today().stat().st_mode) == 0o600
        assert stat.S_IMODE(today().parent.stat().st_mode) == 0o700

    def test_two_processes_append_to_one_file(self, tmp_path):
        first, second = files.AuditFile(tmp_path), files.AuditFile(tmp_path)
        for number in range(10):
            first.append({"n": number})
            second.append({"n": -number})

        (file,) = tmp_path.iterdir()
        assert len([json.loads(line) for line in file.read_text().splitlines()]) == 20

    def test_line_ends_in_a_value_do_not_make_a_second_record(self, tmp_path):
        files.AuditFile(tmp_path).append({"action": "GET /x\n{}\u2028"})

        (file,) = tmp_path.iterdir()
        assert file.read_bytes().count(b"\n") == 1

    def test_a_record_can_hold_whatever_a_path_can(self, api, new_records):
        new_records()
        api.get("/v1/secrets/%ED%A0%80%00%FF")

        (record,) = new_records()
        assert record["outcome"] == 404


class TestUnwritable:
    @pytest.fixture
    def unwritable(self, api, settings, tmp_path):
        """The audit folder has become a file, so nothing can be written below it."""
        (tmp_path / "file").write_text("")
        settings.AUDIT_DIR = tmp_path / "file" / "audit"

        def begin():
            files.audit_file.cache_clear()

        yield begin
        files.audit_file.cache_clear()

    def test_a_payload_is_not_disclosed(self, api, unwritable):
        path = api.store("hunter2")
        unwritable()

        response = api.get(f"{path}/payload")

        assert response.status_code == 503
        assert int(response["Retry-After"]) >= 1
        assert b"hunter2" not in response.content
        assert response.json()["title"] == "Service Unavailable"

    @pytest.mark.parametrize(
        ("method", "path"), [("GET", "/v1/secrets"), ("POST", "/v1/secrets"), ("GET", "/v1/x")]
    )
    def test_every_call_is_503(self, api, unwritable, method, path):
        unwritable()

        assert api.call(method, path, {}).status_code == 503

    def test_discovery_and_health_answer_on(self, api, unwritable):
        unwritable()

        assert api.get("/").status_code == 300
        assert api.get("/healthcheck").status_code == 200

    def test_settings_may_say_to_answer_and_tell(self, api, unwritable, settings, caplog):
        path = api.store("hunter2")
        settings.AUDIT_IF_UNWRITABLE = "answer"
        before = NOT_WRITTEN.collect()[0].samples[0].value
        unwritable()

        response = api.get(f"{path}/payload")

        assert (response.status_code, response.content) == (200, b"hunter2")
        assert NOT_WRITTEN.collect()[0].samples[0].value == before + 1
        assert "audit.not_written" in caplog.text

    def test_a_full_disk_is_503_too(self, api, monkeypatch):
        path = api.store("hunter2")
        descriptor = os.open("/dev/full", os.O_WRONLY)
        monkeypatch.setattr(files.audit_file(), "_descriptor", descriptor)

        response = api.get(f"{path}/payload")

        os.close(descriptor)
        assert response.status_code == 503
        assert b"hunter2" not in response.content
