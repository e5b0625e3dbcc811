import re
import threading
import time
from collections import Counter

import pytest
from django.core.checks import run_checks
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from keepsite.api import limits
from tests.support.callers import Caller
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

FIVE = 'limits:\n  - {id: five, uri: everything, uri-regex: "/v1/.*", unit: HOUR, value: 5}\n'
EACH = (
    'limits:\n  - {id: each, uri-regex: "/v1/secrets/([^/]+)", http-methods: [GET], unit: HOUR, value: 1}\n'
)
NO_SECRET = "/v1/secrets/00000000-0000-4000-8000-00000000000{}"


@pytest.fixture
def caller():
    return Caller.make(project="p1", user="u1", roles=["member"])


def statuses(caller, count, path="/v1/secrets"):
    return [caller.get(path).status_code for _ in range(count)]


class TestCharge:
    def test_exactly_the_value_passes(self, limited, caller):
        limited(FIVE)

        assert statuses(caller, 8) == [200] * 5 + [429] * 3

    def test_refusal_is_worded_like_every_error_and_says_when_to_come_back(self, limited, caller):
        limited(FIVE)
        statuses(caller, 5)

        response = caller.get("/v1/secrets")

        assert response.json()["code"] == 429
        assert response.json()["title"] == "Too Many Requests"
        assert "5 requests per hour to everything" in response.json()["description"]
        assert 3500 < int(response["Retry-After"]) <= 3600
        assert response["x-openstack-request-id"]

    def test_next_block_starts_afresh(self, limited, caller):
        limited(FIVE.replace("HOUR", "SECOND"))
        wait_until(lambda: caller.get("/v1/secrets").status_code == 429)

        wait_until(lambda: caller.get("/v1/secrets").status_code == 200, timeout_s=5)

    def test_projects_do_not_count_for_one_another(self, limited, caller):
        limited(FIVE)
        other = caller.other(project="p2")
        statuses(caller, 6)

        assert statuses(other, 1) == [200]

    def test_users_of_a_project_share_or_not_as_the_rule_says(self, limited, caller):
        colleague = caller.other(project="p1", user="u2")
        limited(FIVE)
        statuses(caller, 5)
        assert statuses(colleague, 1) == [429]

        limited(FIVE.replace("id: five", "id: each, per: user"))
        statuses(caller, 5)
        assert statuses(colleague, 1) == [200]

    def test_captured_paths_are_counted_apart(self, limited, caller):
        limited(EACH)

        assert statuses(caller, 2, NO_SECRET.format(1)) == [404, 429]
        assert statuses(caller, 2, NO_SECRET.format(2)) == [404, 429]

    def test_captured_paths_are_counted_together_where_the_rule_says_so(self, limited, caller):
        limited(EACH.replace("value: 1", "value: 1, use-capture-groups: false"))

        assert statuses(caller, 1, NO_SECRET.format(1)) == [404]
        assert statuses(caller, 1, NO_SECRET.format(2)) == [429]

    def test_head_is_not_get(self, limited, caller):
        limited(EACH)
        caller.call("HEAD", NO_SECRET.format(1))

        assert statuses(caller, 1, NO_SECRET.format(1)) == [404]

    def test_spellings_of_one_path_are_one_path(self, limited, caller):
        limited(EACH)
        caller.get(NO_SECRET.format(1))

        assert statuses(caller, 1, NO_SECRET.format(1).replace("/secrets/", "//secrets//") + "/") == [429]

    def test_zero_forbids(self, limited, caller):
        limited(FIVE.replace("value: 5", "value: 0"))

        assert statuses(caller, 1) == [429]

    def test_limits_after_the_refusing_one_are_not_charged(self, limited, caller):
        limited(FIVE.replace("value: 5", "value: 1") + FIVE.partition("\n")[2].replace("five", "later"))
        statuses(caller, 4)

        later = caller.get("/v1/limits")
        assert later.status_code == 429
        limited(FIVE.replace("five", "later"))
        assert caller.get("/v1/limits").json()["limits"]["rate"][0]["limit"][0]["remaining"] == 3

    def test_strangers_are_not_counted(self, limited, caller):
        limited(FIVE)
        stranger = Caller("ks_wrong")

        assert statuses(stranger, 7) == [401] * 7
        assert statuses(caller, 1) == [200]

    def test_body_of_a_refused_request_is_not_read(self, limited, caller):
        limited(FIVE.replace("value: 5", "value: 0"))

        class Unreadable:
            def read(self, *_):
                raise AssertionError("read")

            readline = read

        response = Client().generic(
            "POST", "/v1/secrets", headers={"X-Auth-Token": caller.key}, content_type="application/json",
            **{"wsgi.input": Unreadable(), "CONTENT_LENGTH": "10"},
        )  # fmt: skip

        assert response.status_code == 429

    def test_refusal_is_in_the_audit_trail(self, limited, caller, audited):
        limited(FIVE.replace("value: 5", "value: 0"))

        caller.get("/v1/secrets")

        assert [record["outcome"] for record in audited("GET /v1/secrets")] == [429]

    def test_without_a_file_nobody_is_counted(self, settings, caller, monkeypatch):
        settings.LIMITS_MEMCACHED = ["192.0.2.1:11211"]
        limits.reset()
        monkeypatch.setattr("keepsite.api.limits.counters.Client", None)

        assert statuses(caller, 3) == [200] * 3
        limits.reset()

    def test_no_sql_statement_is_added(self, limited, settings, caller):
        caller.get("/v1/secrets")
        with CaptureQueriesContext(connection) as without:
            caller.get("/v1/secrets")
        limited(FIVE)

        with CaptureQueriesContext(connection) as limited_queries:
            caller.get("/v1/secrets")

        assert len(limited_queries) == len(without)


class TestMemcachedAway:
    def test_killed_under_load_every_request_is_served_within_the_processes_share(
        self, limited, caller, memcached
    ):
        limited(FIVE.replace("value: 5", "value: 400"), processes=4)
        seen, slowest = Counter(), []

        def load():
            mine = Caller(caller.key)
            for _ in range(60):
                started = time.monotonic()
                seen[mine.get("/v1/secrets?limit=1").status_code] += 1
                slowest.append(time.monotonic() - started)
            connection.close()

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        wait_until(lambda: seen[200] > 40)
        passed = seen[200]
        memcached.kill()
        for thread in threads:
            thread.join()

        assert set(seen) <= {200, 429}
        assert sum(seen.values()) == 240
        assert 100 <= seen[200] <= passed + 100 + 4  # its share of 400, and what was under way

    def test_limits_are_shared_again_afterwards(self, limited, caller, memcached, monkeypatch):
        monkeypatch.setattr("keepsite.memcached.DEAD_S", 0.2)
        limited(FIVE, processes=5)
        memcached.kill()
        assert statuses(caller, 2) == [200, 429]  # a fifth of five
        memcached.bring_back()

        wait_until(lambda: caller.get("/v1/secrets").status_code == 200, timeout_s=5)

        assert statuses(caller, 5) == [200] * 4 + [429]

    def test_a_share_is_never_nothing(self, limited, caller, memcached):
        limited(FIVE, servers=(), processes=50)

        assert statuses(caller, 2) == [200, 429]


class TestResource:
    def test_shape_is_the_one_clients_know(self, limited, caller):
        limited(FIVE)
        statuses(caller, 2)

        body = caller.get("/v1/limits").json()

        (rate,) = body["limits"]["rate"]
        (entry,) = rate["limit"]
        assert (rate["uri"], rate["regex"]) == ("everything", "/v1/.*")
        assert entry | {"next-available": ""} == {
            "verb": "ALL", "value": 5, "remaining": 2, "unit": "HOUR", "next-available": "",
        }  # fmt: skip
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["next-available"])
        assert body["limits"]["absolute"] == {
            "secrets": -1, "orders": -1, "containers": -1, "consumers": -1, "cas": -1,
        }  # fmt: skip

    def test_one_entry_per_method_and_limits_of_one_path_together(self, limited, caller):
        limited(
            "limits:\n"
            "  - {id: a, uri-regex: /v1/orders, http-methods: [POST, DELETE], unit: SECOND, value: 2}\n"
            "  - {id: b, uri-regex: /v1/orders, http-methods: [POST], unit: DAY, value: 9}\n"
        )

        (rate,) = caller.get("/v1/limits").json()["limits"]["rate"]

        assert [(entry["verb"], entry["unit"]) for entry in rate["limit"]] == [
            ("DELETE", "SECOND"), ("POST", "SECOND"), ("POST", "DAY"),
        ]  # fmt: skip

    def test_remaining_never_falls_below_zero(self, limited, caller):
        limited(FIVE.replace("/v1/.*", "/v1/secrets"))
        statuses(caller, 9)

        assert caller.get("/v1/limits").json()["limits"]["rate"][0]["limit"][0]["remaining"] == 0

    def test_a_path_asks_for_the_counter_of_what_it_captures(self, limited, caller):
        limited(EACH)
        caller.get(NO_SECRET.format(1))

        def remaining(query=""):
            return caller.get(f"/v1/limits{query}").json()["limits"]["rate"][0]["limit"][0]["remaining"]

        assert remaining(f"?path={NO_SECRET.format(1)}") == 0
        assert remaining(f"?path={NO_SECRET.format(2)}") == 1
        assert remaining() == 1

    def test_quotas_of_the_project_are_the_absolute_limits(self, caller, settings):
        admin = caller.other(project="p1", user="boss", roles=["admin"])
        admin.call("PUT", "/v1/project-quotas/p1", {"project_quotas": {"secrets": 7}})

        assert caller.get("/v1/limits").json()["limits"]["absolute"]["secrets"] == 7

    @pytest.mark.parametrize("role", ["reader", "audit", "nothing-known"])
    def test_everybody_may_know_their_own(self, caller, role):
        assert caller.other(user=role, roles=[role]).get("/v1/limits").status_code == 200

    def test_strangers_may_not(self):
        assert Caller("").get("/v1/limits").status_code == 401

    @pytest.mark.parametrize(
        ("method", "status"), [("POST", 405), ("DELETE", 405), ("HEAD", 405), ("OPTIONS", 200)]
    )
    def test_other_methods(self, caller, method, status):
        assert caller.call(method, "/v1/limits").status_code == status

    def test_json_only(self, caller):
        assert caller.get("/v1/limits", Accept="text/html").status_code == 406

    def test_memcached_away_is_no_error(self, limited, caller, memcached):
        limited(FIVE)
        memcached.kill()

        assert caller.get("/v1/limits").status_code == 200


class TestChecks:
    def problems(self):
        return {problem.id: problem for problem in run_checks()}

    def test_file_that_cannot_be_used_is_named_with_the_entry(self, limited, shim):
        limited("limits:\n  - {id: a, uri-regex: x, unit: WEEK, value: 1}\n")

        problem = self.problems()["keepsite.E010"]

        assert "limits.yaml" in problem.msg
        assert "limit 1 (line 2): unit must be one of SECOND, MINUTE, HOUR, DAY, not 'WEEK'" in problem.msg
        assert "limits.md" in problem.hint

    def test_address_that_is_none_is_named(self, limited, shim):
        limited(FIVE, servers=["mc1"])

        assert "'mc1'" in self.problems()["keepsite.E010"].msg

    def test_counting_alone_is_warned_of(self, limited, shim):
        limited(FIVE, servers=[])

        assert "KEEPSITE_LIMITS_MEMCACHED" in self.problems()["keepsite.W011"].hint

    def test_usable_settings_have_no_problem(self, limited, shim):
        limited(FIVE)

        assert not {"keepsite.E010", "keepsite.W011"} & self.problems().keys()

    @pytest.mark.parametrize("days", [-1, 10**6])
    def test_recovery_window_must_be_a_number_of_days(self, settings, shim, days):
        settings.RECOVERY_DAYS = days

        assert str(days) in self.problems()["keepsite.E012"].msg
