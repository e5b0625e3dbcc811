"""What a node reports: what its processes count, minute by minute, and by one process at a time."""

import os
from datetime import timedelta

import pytest
from django.utils import timezone

from hsm.provider import hsm
from keepsite.fleet.figures import fleet_figures
from keepsite.fleet.jobs import forget_what_is_old
from keepsite.fleet.models import HSMMember, MemberChange, NodeReport
from keepsite.fleet.reporter import Reporter
from keepsite.metrics.hsm import HSMMetrics

NOON = 1_800_000_000.0  # a whole minute


@pytest.fixture
def state_dir(settings, tmp_path):
    settings.STATE_DIR = tmp_path


@pytest.fixture
def listening(mkek):
    hsm().start()
    hsm().listen(HSMMetrics())
    yield hsm()
    hsm().listen(None)


@pytest.fixture
def reporter(state_dir, listening):
    reporter = Reporter()
    listening.tell()
    reporter.beat(now=NOON)
    return reporter


def report():
    return NodeReport.objects.get()


class TestRequests:
    def test_are_counted_by_the_minute(self, api, reporter):
        path = api.store("x")
        reporter.beat(now=NOON + 10)
        api.get(path)
        api.get("/v1/secrets/no-such-id")
        reporter.beat(now=NOON + 70)

        first, second = report().requests
        minute = NOON // 60
        assert (first[0], sum(first[3]), first[1]) == (minute, 1, 0)
        assert (second[0], sum(second[3]), second[1]) == (minute + 1, 2, 1)

    def test_of_the_past_hour_are_kept(self, api, reporter):
        reporter.beat(now=NOON + 10)
        reporter.beat(now=NOON + 2 * 3_600)

        assert [one[0] for one in report().requests] == [NOON // 60 + 120]

    def test_of_the_console_are_nobodys_matter_here(self, reporter, client):
        client.get("/admin/")
        reporter.beat(now=NOON + 10)

        assert sum(report().requests[0][3]) == 0


class TestMembers:
    def test_are_told_with_their_calls_and_states(self, api, reporter):
        path = api.store("x")
        api.get(f"{path}/payload")
        hsm().tell()
        reporter.beat(now=NOON + 10)

        (member,) = report().members.values()
        (minute,) = member["minutes"]
        assert member["states"] == {"up": 1}
        assert sum(minute[5]) >= 2
        assert minute[1] >= sum(minute[5])
        assert member["last_canary_at"] > 0
        assert HSMMember.objects.count() == 1

    def test_read_as_figures(self, api, reporter):
        api.store("x")
        hsm().tell()
        reporter.beat(now=NOON + 10)
        NodeReport.objects.update(told_at=timezone.now(), began_at=timezone.now() - timedelta(minutes=1))

        figures = fleet_figures(timezone.now())

        assert (figures.members[0].serving, figures.members[0].processes) == (1, 1)
        assert figures.reporting == ("tests",)

    def test_changes_of_state_are_told_once(self, reporter):
        told = MemberChange.objects.count()
        reporter.beat(now=NOON + 10)

        assert told >= 1
        assert MemberChange.objects.count() == told


class TestLock:
    def test_one_process_of_a_node_reports(self, state_dir, reporter):
        another = Reporter()
        another.beat(now=NOON + 99)

        assert report().told_at.timestamp() == NOON

    def test_the_next_one_goes_on_where_it_ended(self, api, reporter):
        api.store("x")
        reporter.beat(now=NOON + 10)
        os.close(reporter._lock._file)  # as when its process ends

        another = Reporter()
        another.beat(now=NOON + 20)
        api.store("y")
        another.beat(now=NOON + 30)

        assert sum(report().requests[0][3]) == 2


class TestForgetting:
    def test_what_is_old_goes(self, db):
        now = timezone.now()
        for node, age in (("here", timedelta(hours=1)), ("gone", timedelta(days=2))):
            NodeReport.objects.create(node=node, told_at=now - age, began_at=now - age)
        for age in (timedelta(days=1), timedelta(days=31)):
            MemberChange.objects.create(member="m", node="n", process=1, state="up", at=now - age)

        assert forget_what_is_old(0.0)

        assert report().node == "here"
        assert MemberChange.objects.count() == 1
