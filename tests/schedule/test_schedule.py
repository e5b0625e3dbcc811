"""Jobs at intervals: on any number of workers, by one at a time, by the database's clock."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from keepsite import schedule
from keepsite.schedule import registry
from keepsite.schedule.models import ScheduledJob
from keepsite.schedule.services import due_jobs, make_due, run_job


@pytest.fixture
def job(db, monkeypatch):
    """A job of every minute, the only one; ``job.runs`` has the deadlines it was given."""
    monkeypatch.setattr(registry, "_jobs", {})

    class Recorder:
        def __init__(self):
            self.runs, self.answer = [], True

        def __call__(self, deadline):
            self.runs.append(deadline)
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

    recorder = Recorder()
    schedule.register(schedule.Job(name="tidy", every_s=60, run=recorder))
    return recorder


def row():
    return ScheduledJob.objects.get(name="tidy")


def move(**by):
    """Let time pass: what is written down lies further back."""
    for name in ("next_at", "handed_out_at", "lease_until"):
        if getattr(row(), name) is not None:
            ScheduledJob.objects.update(**{name: getattr(row(), name) - timedelta(**by)})


class TestDue:
    def test_a_new_job_is_due_after_its_interval(self, job):
        assert due_jobs() == []
        move(seconds=61)

        assert due_jobs() == ["tidy"]

    def test_it_is_handed_out_once_a_minute_until_somebody_takes_it(self, job):
        make_due("tidy")
        assert due_jobs() == ["tidy"]
        assert due_jobs() == []
        move(seconds=61)

        assert due_jobs() == ["tidy"]

    def test_the_databases_clock_is_in_utc(self, job):
        make_due("tidy")

        assert abs(row().next_at - timezone.now()) < timedelta(seconds=60)


class TestRun:
    def test_it_runs_with_a_deadline_and_is_due_again_after_its_interval(self, job):
        make_due("tidy")
        assert run_job("tidy")
        assert not run_job("tidy")
        assert due_jobs() == []

        (deadline,) = job.runs
        assert deadline > time.monotonic() - 60
        assert (row().outcome, row().runs, row().lease_until) == ("done", 1, None)
        assert timedelta(seconds=30) < row().next_at - timezone.now() < timedelta(seconds=90)

    def test_one_that_has_more_to_do_is_due_at_once(self, job):
        job.answer = False
        make_due("tidy")
        run_job("tidy")

        assert due_jobs() == ["tidy"]
        assert row().outcome == "more to do"

    def test_one_that_fails_is_run_again_and_says_so(self, job):
        job.answer = ValueError("x")
        make_due("tidy")
        run_job("tidy")
        job.answer = True
        move(seconds=61)

        assert row().outcome == "failed: ValueError"
        assert run_job("tidy")
        assert row().outcome == "done"

    def test_a_worker_killed_at_it_is_followed_after_its_lease(self, job):
        make_due("tidy")
        ScheduledJob.objects.update(holder="killed", lease_until=timezone.now() + timedelta(seconds=60))
        assert not run_job("tidy")
        move(seconds=61)

        assert run_job("tidy")

    def test_one_that_this_release_does_not_know_is_left(self, job):
        assert not run_job("of the next release")


@pytest.mark.django_db(transaction=True)
class TestTwoWorkers:
    def test_one_of_them_runs_it(self, job):
        make_due("tidy")
        start = Barrier(4)

        def work(_):
            start.wait()
            try:
                return run_job("tidy")
            finally:
                connection.close()

        with ThreadPoolExecutor(4) as threads:
            outcomes = list(threads.map(work, range(4)))

        assert sorted(outcomes) == [False, False, False, True]
        assert len(job.runs) == 1


class TestOurJobs:
    def test_each_is_registered_and_runs_to_its_end(self, mkek, settings):
        assert {*schedule.jobs()} == {
            "audit-prune",
            "audit-prune-rest",
            "audit-seal",
            "audit-verify",
            "expiry-notices",
            "fleet-forget",
            "idempotency-forget",
            "lost-nodes",
            "notices-find",
            "notices-forget",
            "notices-send",
            "purge",
            "rotation-due",
            "sweep",
        }

        for name in schedule.jobs():
            make_due(name)
            assert run_job(name)
            assert ScheduledJob.objects.get(name=name).outcome == "done"

    def test_the_purge_stops_at_its_deadline_and_goes_on(self, api, settings):
        settings.RECOVERY_DAYS = 0
        for _ in range(3):
            api.delete(api.store("x"))
        purge = schedule.jobs()["purge"].run

        assert purge(time.monotonic() - 1) is False
        assert purge(time.monotonic() + 60) is True

    def test_the_command_lists_them_and_has_one_run(self, mkek, capsys):
        call_command("scheduled_jobs", "--run", "sweep")

        out = capsys.readouterr().out
        assert "sweep" in out
        assert "purge" in out
        assert due_jobs() == ["sweep"]
