"""``/metrics``: what it tells, to whom, and of whose doings."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import Client

from hsm.provider import hsm
from keepsite.metrics import files
from keepsite.metrics.hsm import HSMMetrics

CHECKOUT = Path(__file__).resolve().parents[2]


def value(text, sample, **labels):
    """A sample's number; 0 if it is not there."""
    for line in text.splitlines():
        match = re.fullmatch(rf"{sample}(?:\{{(.*)\}})? (\S+)", line)
        if match:
            found = dict(re.findall(r'(\w+)="([^"]*)"', match[1] or ""))
            if found.items() >= labels.items():
                return float(match[2])
    return 0.0


@pytest.fixture
def scrape(api):
    def scrape():
        return Client().get("/metrics").content.decode()

    hsm().listen(HSMMetrics())
    yield scrape
    hsm().listen(None)


class TestWhoMayAsk:
    def test_this_machine_may(self, api):
        answer = Client().get("/metrics")

        assert answer.status_code == 200
        assert answer["Content-Type"].startswith("text/plain; version=")

    @pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7"])
    def test_others_may_not(self, address):
        assert Client(REMOTE_ADDR=address).get("/metrics").status_code == 403

    def test_a_network_can_be_allowed(self, api, settings):
        settings.METRICS_ALLOWED = ["192.0.2.0/24"]

        assert Client(REMOTE_ADDR="192.0.2.7").get("/metrics").status_code == 200
        assert Client().get("/metrics").status_code == 403

    @pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
    def test_nobody_may_through_a_proxy(self, header):
        assert Client().get("/metrics", headers={header: "127.0.0.1"}).status_code == 403


class TestWhatIsTold:
    def test_calls_per_verb_with_their_latency(self, api, scrape):
        path = api.store("x")
        before = scrape()
        api.get(f"{path}/payload")
        after = scrape()

        name = "keepsite_hsm_call_seconds"
        assert (
            value(after, f"{name}_count", verb="decrypt") - value(before, f"{name}_count", verb="decrypt")
            == 1
        )
        assert value(after, f"{name}_sum", verb="decrypt") > value(before, f"{name}_sum", verb="decrypt")

    def test_calls_of_a_request_by_its_route(self, api, scrape):
        path = api.store("x")
        name, route = "keepsite_hsm_calls_per_request", "v1/secrets/<str:secret_id>/payload"
        before = scrape()
        api.get(f"{path}/payload")
        after = scrape()

        assert value(after, f"{name}_count", route=route, method="GET") == 1 + value(
            before, f"{name}_count", route=route, method="GET"
        )
        assert value(after, f"{name}_sum", route=route, method="GET") == 2 + value(
            before, f"{name}_sum", route=route, method="GET"
        )

    def test_what_a_client_names_makes_no_series(self, api, scrape):
        api.call("QWERTY", "/v1/secrets")
        Client().get("/v1/qwertz")

        assert "qwert" not in scrape().lower()

    def test_errors_by_class_trips_and_recoveries(self, api, scrape, shim):
        path = api.store("x")
        before = scrape()
        shim.answer(0x30, "C_DecryptInit", times=1)
        assert api.get(f"{path}/payload").status_code == 503
        after = scrape()

        errors = "keepsite_hsm_call_errors_total"
        assert value(after, errors, kind="member", verb="decrypt") == 1 + value(
            before, errors, kind="member", verb="decrypt"
        )
        assert value(after, "keepsite_hsm_trips_total") == 1 + value(before, "keepsite_hsm_trips_total")
        assert value(after, "keepsite_hsm_member_processes", state="up") == 0

    def test_cache_hits_and_states(self, api, scrape):
        path = api.store("x")
        before = scrape()
        api.get(f"{path}/payload")
        after = scrape()

        hits = "keepsite_hsm_cache_hits_total"
        assert value(after, hits) == 1 + value(before, hits)
        serving = [value(after, "keepsite_hsm_member_processes", state=state) for state in ("up", "suspect")]
        assert sum(serving) == 1  # suspect, where tests before this one tripped it again and again
        assert value(after, "keepsite_hsm_cached_keys") >= 1

    def test_reading_them_asks_neither_token_nor_database(self, api, scrape, shim, django_assert_num_queries):
        with shim.counting() as calls, django_assert_num_queries(0):
            scrape()

        assert calls == {}


class TestReadiness:
    def test_tells_that_a_member_is_up_without_asking_it(self, api, shim):
        api.store("x")

        with shim.counting() as calls:
            answer = Client().get("/readiness")

        assert (answer.status_code, answer.content, calls) == (200, b"READY", {})

    def test_is_503_with_retry_after_when_none_is_and_the_health_check_stays_ok(self, api, shim):
        path = api.store("x")
        shim.answer(0x30)
        assert api.get(f"{path}/payload").status_code == 503

        answer = Client().get("/readiness")

        assert answer.status_code == 503
        assert answer["Retry-After"]
        assert Client().get("/healthcheck").status_code == 200


COUNT = """
import sys
from pathlib import Path
from keepsite.metrics import files
files.share(Path(sys.argv[1]))
from prometheus_client import Counter, Gauge
from keepsite.metrics.registry import REGISTRY, exposition
Counter("keepsite_test", "t", registry=REGISTRY).inc(int(sys.argv[2]))
Gauge("keepsite_test_now", "t", registry=REGISTRY, multiprocess_mode="livesum").set(1)
print(exposition().decode())
"""


class TestManyProcesses:
    @pytest.fixture
    def count(self, tmp_path):
        def count(number):
            return subprocess.run(
                [sys.executable, "-c", COUNT, tmp_path, str(number)],
                cwd=CHECKOUT,
                env=os.environ,
                capture_output=True,
                text=True,
                check=True,
            ).stdout

        return count

    def test_each_tells_what_all_have_counted_but_gauges_of_the_living_only(self, count):
        count(3)

        told = count(4)

        assert value(told, "keepsite_test_total") == 7
        assert value(told, "keepsite_test_now") == 1

    def test_a_start_of_the_node_begins_anew(self, count, tmp_path):
        count(3)

        files.forget_the_dead(tmp_path / "metrics")

        assert value(count(4), "keepsite_test_total") == 4

    def test_files_are_the_service_users_own(self, count, tmp_path):
        count(1)

        assert (tmp_path / "metrics").stat().st_mode & 0o777 == 0o700


class TestStart:
    def test_no_process_imports_the_library_before_it_says_where_the_files_are(self):
        """It looks at the environment when it is first imported; a relay shares after Django's set-up."""
        program = "import sys, django; django.setup(); sys.exit('prometheus_client' in sys.modules)"

        assert subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, check=False).returncode == 0
