"""Which pKEKs are due, and what the job does about it."""

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from keepsite.keyring import figures
from keepsite.keyring.models import KEKRun, ProjectKEK
from keepsite.keyring.rotation.due import look_what_is_due
from keepsite.metrics import counted
from keepsite.metrics.registry import exposition
from tests.keyring.rotation.conftest import active, run_to_its_end


@pytest.fixture(autouse=True)
def _limits(settings):
    settings.PKEK_MAX_DAYS, settings.PKEK_MAX_ENCRYPTIONS = 365, 100
    settings.PKEK_ROTATE_WHEN_DUE = False


def look():
    assert look_what_is_due(time.monotonic() + 40)


def due():
    return set(ProjectKEK.objects.exclude(due_at=None).values_list("project__external_id", flat=True))


def make_old(project):
    ProjectKEK.objects.filter(project__external_id=project).update(
        created_at=timezone.now() - timedelta(days=400)
    )


class TestDue:
    def test_old_keys_are_due(self, projects):
        make_old("p2")

        look()

        assert due() == {"p2"}

    def test_keys_that_sealed_more_are_due(self, projects, settings):
        settings.PKEK_MAX_ENCRYPTIONS = 2
        projects[2][0].store("a third one")

        look()

        assert due() == {"p3"}

    def test_neither_counts_where_both_are_off(self, projects, settings):
        settings.PKEK_MAX_DAYS = settings.PKEK_MAX_ENCRYPTIONS = 0
        make_old("p2")

        look()

        assert due() == set()

    def test_since_when_stays_and_a_new_generation_is_not_due(self, projects):
        make_old("p2")
        look()
        since = active("p2").due_at
        look()
        assert active("p2").due_at == since

        run_to_its_end(KEKRun.Kind.ROTATE)
        look()

        assert due() == set()

    def test_nothing_is_rotated_by_itself(self, projects):
        make_old("p2")

        look()

        assert not KEKRun.objects.exists()

    def test_unless_the_setting_says_so_and_then_once(self, projects, settings):
        settings.PKEK_ROTATE_WHEN_DUE = True
        make_old("p2")

        look()
        look()

        run = KEKRun.objects.get()
        assert (run.kind, run.started_by, run.reason, run.rows_left) == ("pkek_rotate", "schedule", "due", 1)
        assert run.by_workers

    def test_it_is_told_in_the_log(self, projects, caplog):
        make_old("p2")

        look()

        assert any("pkek.due" in message and "p2" in message for message in caplog.messages)


def sample(name):
    (line,) = [line for line in exposition().decode().splitlines() if line.startswith(f"{name} ")]
    return float(line.split()[-1])


class TestFigures:
    def test_tell_what_is_left(self, projects, new_mkek, django_assert_num_queries):
        make_old("p2")
        look()
        new_mkek()
        run_to_its_end(KEKRun.Kind.ROTATE)
        KEKRun.objects.create(kind=KEKRun.Kind.REENCRYPT, started_by="alma")

        with django_assert_num_queries(7):
            figures.count()

        assert sample("keepsite_rotation_pkeks_left") == 3
        assert sample('keepsite_rotation_rows_left{kind="payload"}') == 6
        assert sample("keepsite_rotation_pkeks_due") == 1
        assert sample('keepsite_rotation_runs{state="queued"}') == 1
        assert sample('keepsite_rotation_runs{state="running"}') == 0


@pytest.mark.django_db(transaction=True)
class TestCounting:
    def test_a_scrape_has_them_counted_and_does_not_wait(self, client, settings, monkeypatch):
        monkeypatch.setattr(counted, "_next_at", 0.0)
        settings.METRICS_COUNT_EVERY_S = 60
        KEKRun.objects.create(kind=KEKRun.Kind.REENCRYPT, started_by="alma", state="paused")

        first = counted.count_if_due()
        first.join(20)

        assert counted.count_if_due() is None
        assert b'keepsite_rotation_runs{state="paused"} 1.0' in client.get("/metrics").content

    def test_zero_never_counts(self, settings, monkeypatch):
        monkeypatch.setattr(counted, "_next_at", 0.0)
        settings.METRICS_COUNT_EVERY_S = 0

        assert counted.count_if_due() is None
