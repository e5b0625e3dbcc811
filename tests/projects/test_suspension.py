"""A suspended project is refused in every mode of authentication, and served again when resumed."""

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from keepsite.errors import Conflict, InvalidInput, NotAllowed, NotFound
from keepsite.identity.operators import command_principal
from keepsite.projects import suspension
from keepsite.projects.models import Project
from tests.support.callers import Caller

ACTOR = command_principal()


@pytest.fixture(autouse=True)
def _fresh():
    suspension._Known.forget()
    yield
    suspension._Known.forget()


@pytest.fixture
def caller(mkek):
    return Caller.make(project="p1")


def suspend(project="p1", **options):
    return suspension.suspend_project(project, **{"actor": ACTOR, "reason": "unpaid", **options})


def resume(project="p1"):
    return suspension.resume_project(project, actor=ACTOR)


class TestSuspended:
    @pytest.mark.parametrize(
        ("method", "path"),
        [("GET", "/v1/secrets"), ("POST", "/v1/secrets"), ("GET", "/v1/quotas"), ("GET", "/v1/nothing")],
    )
    def test_every_request_is_refused_with_a_reason_to_read(self, caller, method, path):
        suspend()

        answer = caller.call(method, path, {} if method == "POST" else None)

        assert answer.status_code == 403
        assert "suspended by the operators" in answer.json()["description"]
        assert "unpaid" not in answer.content.decode()

    def test_what_it_stored_is_kept(self, caller):
        path = caller.store("payload", name="n")
        suspend()
        resume()

        assert caller.get(f"{path}/payload", Accept="text/plain").content == b"payload"

    def test_others_are_served(self, caller):
        suspend()

        assert caller.other(project="p2").get("/v1/secrets").status_code == 200

    def test_the_refusal_is_in_the_audit_trail_with_who_called(self, caller, audited):
        suspend()
        caller.get("/v1/secrets")

        record = audited("GET /v1/secrets")[-1]
        assert (record["outcome"], record["project_id"]) == (403, "p1")

    def test_costs_a_caller_with_a_key_no_statement(self, caller):
        caller.get("/v1/secrets")
        with CaptureQueriesContext(connection) as before:
            caller.get("/v1/secrets")
        suspend()
        with CaptureQueriesContext(connection) as refused:
            caller.get("/v1/secrets")

        assert len(refused) == 1
        assert not [query for query in before if 'suspended_at" IS NOT NULL' in query["sql"]]


class TestWithoutAKey:
    """In noauth and keystone mode no row of the project is read; this process remembers."""

    @pytest.fixture
    def client(self, mkek, settings):
        settings.AUTH = "noauth"
        Project.objects.create(external_id="p1")
        return Client(headers={"X-Project-Id": "p1", "X-Roles": "member"})

    def test_is_refused_and_served_again(self, client):
        suspend()
        refused = client.get("/v1/secrets").status_code
        resume()

        assert (refused, client.get("/v1/secrets").status_code) == (403, 200)

    def test_another_process_learns_of_it_within_the_bound(self, client, monkeypatch):
        now = [1_000.0]
        monkeypatch.setattr("keepsite.projects.suspension.time.monotonic", lambda: now[0])
        assert client.get("/v1/secrets").status_code == 200
        Project.objects.update(suspended_at="2026-01-31T00:00:00Z")  # by somebody else

        now[0] += suspension.REFRESH_S - 0.1
        before = client.get("/v1/secrets").status_code
        now[0] += 0.2

        assert (before, client.get("/v1/secrets").status_code) == (200, 403)

    def test_is_asked_of_the_database_once_in_that_time(self, client):
        client.get("/v1/secrets")

        with CaptureQueriesContext(connection) as queries:
            client.get("/v1/secrets")

        assert not [query for query in queries if "IS NOT NULL" in query["sql"]]


class TestRefusals:
    def test_twice_is_a_conflict(self, caller):
        suspend()

        with pytest.raises(Conflict):
            suspend(reason="another")
        assert Project.objects.get().suspension_reason == "unpaid"

    def test_resuming_what_is_served_is_a_conflict(self, caller):
        with pytest.raises(Conflict):
            resume()

    def test_an_unknown_project(self, db):
        for act in (suspend, resume):
            with pytest.raises(NotFound):
                act("nobody")

    @pytest.mark.parametrize("reason", ["", "x" * 256])
    def test_needs_a_reason(self, caller, reason):
        with pytest.raises(InvalidInput):
            suspend(reason=reason)

    def test_no_caller_of_the_api_may(self, caller):
        from keepsite.identity.models import APIKey

        actor = APIKey.objects.get().principal
        with pytest.raises(NotAllowed):
            suspend(actor=actor)
        with pytest.raises(NotAllowed):
            suspension.resume_project("p1", actor=actor)
        assert Project.objects.get().suspended_at is None


class TestCommands:
    def test_suspend_and_resume(self, caller, capsys, audited):
        call_command("project_suspend", "p1", "--reason", "unpaid")
        refused = caller.get("/v1/secrets").status_code
        call_command("project_resume", "p1", "--reason", "paid")

        assert (refused, caller.get("/v1/secrets").status_code) == (403, 200)
        assert audited("project.suspended")[0]["reason"] == "unpaid"
        assert audited("project.resumed")[0]["before"]["suspended_at"]

    def test_say_what_is_wrong(self, caller):
        with pytest.raises(CommandError, match="not suspended"):
            call_command("project_resume", "p1")
        with pytest.raises(CommandError, match="no project"):
            call_command("project_suspend", "nobody", "--reason", "r")
