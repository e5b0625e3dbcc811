from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from keepsite.identity import last_use
from keepsite.identity.models import APIKey
from tests.support.callers import Caller

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def caller():
    return Caller.make(project="p1", user="u1", roles=["member"])


def another_process(monkeypatch):
    """What this process remembers having tried is not known to others."""
    monkeypatch.setattr(last_use, "_tried", {})


def used_at():
    return APIKey.objects.get().last_used_at


class TestLastUse:
    def test_first_use_is_written(self, caller):
        before = timezone.now()

        caller.get("/v1/secrets")

        assert before <= used_at() <= timezone.now()

    def test_use_within_a_minute_makes_no_statement(self, caller, monkeypatch):
        caller.get("/v1/secrets")
        another_process(monkeypatch)

        with CaptureQueriesContext(connection) as queries:
            caller.get("/v1/secrets")

        assert not [query for query in queries if "UPDATE" in query["sql"]]

    def test_use_after_a_minute_is_written(self, caller, monkeypatch):
        long_ago = timezone.now() - timedelta(seconds=61)
        APIKey.objects.update(last_used_at=long_ago)

        caller.get("/v1/secrets")

        assert used_at() > long_ago

    def test_it_is_written_once_the_request_is_answered(self, caller):
        with CaptureQueriesContext(connection) as queries:
            caller.get("/v1/secrets")

        assert queries.captured_queries[-1]["sql"].startswith("UPDATE")
        assert sum("UPDATE" in query["sql"] for query in queries) == 1

    def test_of_two_processes_one_writes(self, caller, monkeypatch):
        key = APIKey.objects.get()
        first, second = timezone.now(), timezone.now() + timedelta(seconds=1)
        for now in (first, second):
            another_process(monkeypatch)
            last_use.note(key, now=now)  # both have read the row before either wrote
            last_use.write()

        assert used_at() == first

    def test_refused_key_is_not_used(self, caller):
        Caller(caller.key[:-1] + ("A" if caller.key[-1] != "A" else "B")).get("/v1/secrets")
        APIKey.objects.update(revoked_at=timezone.now())
        caller.get("/v1/secrets")

        assert used_at() is None

    def test_database_that_refuses_is_no_news_to_the_client_and_not_asked_again(self, caller, monkeypatch):
        asked = []

        def refuse(**_):
            asked.append(1)
            raise DatabaseError("certification failure")

        monkeypatch.setattr(
            last_use.APIKey.objects, "filter", lambda *_, **__: type("Q", (), {"update": refuse})
        )

        assert [caller.get("/v1/secrets").status_code for _ in range(3)] == [200] * 3
        assert asked == [1]

    def test_memory_of_a_process_stays_bounded(self, caller, monkeypatch):
        monkeypatch.setattr(last_use, "_tried", {f"k{number}": 0.0 for number in range(last_use.MAX_TRIED)})

        caller.get("/v1/secrets")

        assert len(last_use._tried) == 1


class TestList:
    def test_list_shows_it(self, caller, capsys):
        call_command("api_key", "list")
        assert "never used" in capsys.readouterr().out

        caller.get("/v1/secrets")
        call_command("api_key", "list")
        assert f"used {used_at():%Y-%m-%dT%H:%MZ}" in capsys.readouterr().out
