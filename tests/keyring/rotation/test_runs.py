"""Runs: paused, resumed, cancelled, taken over, shared among workers; who may, and what is told."""

from datetime import timedelta

import pytest
from django.utils import timezone

from keepsite.errors import Conflict, InvalidInput, NotAllowed
from keepsite.identity.principal import Principal
from keepsite.keyring.models import KEKRun, KEKRunFailure, ProjectKEK
from keepsite.keyring.rotation import runs
from keepsite.keyring.rotation.execution import Execution
from keepsite.keyring.rotation.pace import Pace
from keepsite.keyring.rotation.runners import has_died, runner_name
from keepsite.keyring.rotation.scope import Scope
from keepsite.keyring.tasks import work_on_run
from tests.keyring.rotation.conftest import ACTOR, all_read_back, execute
from tests.keyring.rotation.test_rewrap import refreshed

REWRAP, ROTATE, REENCRYPT = KEKRun.Kind.REWRAP, KEKRun.Kind.ROTATE, KEKRun.Kind.REENCRYPT
State = KEKRun.State
NOBODY_ALIVE = "another-host/1/gone"


@pytest.fixture
def run(projects, new_mkek):
    """Three pKEKs to rewrap, one for each page."""
    new_mkek()
    return runs.start(REWRAP, Scope(), actor=ACTOR, batch_rows=1)


class TestStart:
    def test_a_preview_counts_and_changes_nothing(self, projects, new_mkek):
        new_mkek()

        preview = runs.preview(REWRAP, Scope(), actor=ACTOR)

        assert (preview.noun, preview.rows) == ("pKEKs", 3)
        assert not KEKRun.objects.exists()

    def test_the_row_says_who_what_and_why(self, run, audited):
        wanted = runs.start(REWRAP, Scope(project="p1"), actor=ACTOR, reason="drill", rate=5.0)

        assert (wanted.state, wanted.started_by, wanted.reason) == (State.QUEUED, ACTOR.user_id, "drill")
        assert (wanted.scope, wanted.rate, wanted.rows_left) == ({"project": "p1"}, 5.0, 1)
        record = audited("kek_run.started")[-1]
        assert record["reason"] == "drill"
        assert record["after"] == {
            "kind": REWRAP, "project": "p1", "rows_left": 1,
            "rate": 5.0, "batch_rows": 100, "by_workers": True,
        }  # fmt: skip

    @pytest.mark.parametrize(
        "options", [{"rate": 0}, {"rate": -1.0}, {"batch_rows": 0}, {"batch_rows": 1001}], ids=str
    )
    def test_what_makes_no_sense_is_refused(self, mkek, options):
        with pytest.raises(InvalidInput):
            runs.start(REWRAP, Scope(), actor=ACTOR, **options)
        assert not KEKRun.objects.exists()

    @pytest.mark.parametrize(
        "scope", [Scope(project="nobody"), Scope(mkek="none"), Scope(over_encryptions=-1)]
    )
    def test_names_that_nothing_has_are_refused(self, mkek, scope):
        with pytest.raises(InvalidInput):
            runs.start(REWRAP, scope, actor=ACTOR)

    def test_a_rotation_needs_a_moment_or_it_would_never_end(self, mkek):
        with pytest.raises(InvalidInput, match="moment"):
            runs.start(ROTATE, Scope(), actor=ACTOR)

    @pytest.mark.parametrize("act", [runs.pause, runs.resume, runs.cancel])
    def test_only_operators_may(self, run, act):
        caller = Principal(project_id="p1", user_id="u", roles=frozenset({"admin"}), method="local")

        with pytest.raises(NotAllowed):
            act(run, actor=caller)
        with pytest.raises(NotAllowed):
            runs.start(REWRAP, Scope(), actor=caller)
        assert refreshed(run).state == State.QUEUED


class TestWishes:
    @pytest.mark.parametrize(
        ("wish", "state"),
        [(runs.pause, State.PAUSED), (runs.cancel, State.CANCELLED)],
        ids=["pause", "cancel"],
    )
    def test_one_is_heard_after_the_page_under_work(self, run, wish, state):
        def wish_once(held):
            if held.rows_done == 1:
                wish(refreshed(held), actor=ACTOR)

        ended = execute(run, told=wish_once)

        assert (ended.state, ended.rows_done, ended.rows_left) == (state, 1, 2)

    def test_resumed_it_does_the_rest(self, run, projects):
        execute(run, told=lambda held: held.rows_done == 1 and runs.pause(refreshed(held), actor=ACTOR))

        runs.resume(refreshed(run), actor=ACTOR)
        ended = execute(run)

        assert (ended.state, ended.rows_done, ended.rows_left) == (State.DONE, 3, 0)
        assert all_read_back(projects)

    def test_what_has_ended_stays_ended(self, run):
        execute(run)

        for act in (runs.pause, runs.resume, runs.cancel):
            with pytest.raises(Conflict, match="The run is done"):
                act(refreshed(run), actor=ACTOR)

    def test_each_is_in_the_audit_trail(self, run, audited):
        runs.pause(run, actor=ACTOR)
        runs.resume(run, actor=ACTOR)
        runs.cancel(run, actor=ACTOR)

        changes = [audited(f"kek_run.{act}") for act in ("paused", "resumed", "cancelled")]
        assert [(act["before"], act["after"]) for (act,) in changes] == [
            ({"state": "queued"}, {"state": "paused"}),
            ({"state": "paused"}, {"state": "queued"}),
            ({"state": "queued"}, {"state": "cancelled"}),
        ]

    def test_a_limit_pauses_it(self, run):
        ended = execute(run, limit=2)

        assert (ended.state, ended.rows_done, ended.rows_left) == (State.PAUSED, 2, 1)


class TestTakingOver:
    def test_of_two_runners_one_gets_it(self, run):
        now = timezone.now()

        assert runs.claim(run.id, runner=runner_name(), now=now) is not None
        assert runs.claim(run.id, runner=runner_name(), now=now) is None

    def test_from_one_that_gave_no_sign_for_long(self, run):
        runs.claim(run.id, runner=NOBODY_ALIVE, now=timezone.now() - timedelta(minutes=5))

        assert runs.is_lost(refreshed(run), now=timezone.now())
        assert execute(run).state == State.DONE

    def test_from_a_process_of_this_host_that_died_at_once(self, run):
        host = runner_name().split("/")[0]
        runs.claim(run.id, runner=f"{host}/999999999/x", now=timezone.now())

        assert execute(run).state == State.DONE

    def test_the_one_it_was_taken_from_stops(self, run):
        slow = runs.claim(run.id, runner=NOBODY_ALIVE, now=timezone.now() - timedelta(minutes=5))
        runs.claim(run.id, runner=runner_name(), now=timezone.now())

        Execution(slow, actor=ACTOR).execute()

        assert refreshed(run).state == State.RUNNING
        assert refreshed(run).runner != NOBODY_ALIVE

    def test_two_at_once_do_every_row_once(self, projects, new_mkek):
        new_mkek()
        first = runs.start(REWRAP, Scope(), actor=ACTOR, batch_rows=1)
        second = runs.start(REWRAP, Scope(), actor=ACTOR, batch_rows=1)
        others = []

        def also(held):
            if not others:
                others.append(execute(second))

        ended = execute(first, told=also)

        assert (ended.state, others[0].state) == (State.DONE, State.DONE)
        assert ended.rows_done + others[0].rows_done == 3
        assert all_read_back(projects)

    def test_living_processes_have_not_died(self):
        assert not has_died(runner_name())
        assert not has_died(NOBODY_ALIVE)
        assert not has_died("")


class TestWorkers:
    def test_a_queued_run_is_handed_out_once(self, run):
        now = timezone.now()

        assert list(runs.due_for_workers(now)) == [run.id]
        assert runs.hand_out(run.id, now)
        assert not runs.hand_out(run.id, now + timedelta(seconds=1))
        assert list(runs.due_for_workers(now + timedelta(seconds=1))) == []

    def test_again_if_no_worker_took_it(self, run):
        now = timezone.now()
        runs.hand_out(run.id, now)

        assert list(runs.due_for_workers(now + timedelta(seconds=runs.HAND_OUT_AGAIN_S + 1))) == [run.id]

    def test_again_if_its_worker_died(self, run):
        runs.claim(run.id, runner=NOBODY_ALIVE, now=timezone.now() - timedelta(minutes=5))

        assert list(runs.due_for_workers(timezone.now())) == [run.id]

    def test_not_one_that_a_command_holds(self, projects, new_mkek):
        new_mkek()
        runs.start(REWRAP, Scope(), actor=ACTOR, by_workers=False)

        assert list(runs.due_for_workers(timezone.now())) == []

    def test_a_worker_does_it_in_the_name_of_who_wanted_it(self, run, projects, audited):
        work_on_run(run.id)

        assert refreshed(run).state == State.DONE
        record = audited("kek_run.done")[0]
        assert (record["method"], record["user_id"]) == ("worker", ACTOR.user_id)
        assert (record["before"], record["after"]) == ({"state": "running"}, {"state": "done"})
        assert all_read_back(projects)

    def test_a_second_delivery_finds_nothing_to_do(self, run):
        work_on_run(run.id)
        before = refreshed(run).ended_at

        work_on_run(run.id)

        assert refreshed(run).ended_at == before

    def test_a_slice_that_is_over_leaves_the_rest_queued(self, run):
        held = runs.claim(run.id, runner=runner_name(), now=timezone.now())

        ended = Execution(held, actor=ACTOR, slice_s=0).execute()

        assert (ended.state, ended.rows_done, ended.rows_left) == (State.QUEUED, 1, 2)

    def test_a_slow_pace_is_not_waited_for_in_the_worker(self, projects, new_mkek):
        new_mkek()
        slow = runs.start(REWRAP, Scope(), actor=ACTOR, batch_rows=1, rate=0.01)

        work_on_run(slow.id)

        now = timezone.now()
        assert (refreshed(slow).state, refreshed(slow).rows_done) == (State.QUEUED, 1)
        assert list(runs.due_for_workers(now + timedelta(seconds=50))) == []
        assert list(runs.due_for_workers(now + timedelta(seconds=110))) == [slow.id]

    def test_without_a_token_it_waits_in_the_line(self, run, shim):
        shim.answer(0x02, "C_WrapKey")

        work_on_run(run.id)

        assert (refreshed(run).state, refreshed(run).last_error) == (State.QUEUED, "PoolExhausted")
        shim.clear()
        work_on_run(run.id)
        assert (refreshed(run).state, refreshed(run).last_error) == (State.DONE, "")


class TestProgress:
    def test_done_left_speed_and_time_to_go(self, run):
        told = []
        execute(run, told=lambda held: told.append(runs.progress(held)))

        assert [(one.done, one.left) for one in told] == [(1, 2), (2, 1), (3, 0)]
        assert all(one.per_second > 0 for one in told)
        assert told[0].eta_s > told[1].eta_s * 0.5 > 0

    def test_failures_are_counted_once_over_rounds(self, run):
        pkek = ProjectKEK.objects.first()
        ProjectKEK.objects.filter(id=pkek.id).update(wrapped_pkek=bytes(40))

        ended = execute(run)

        assert (ended.state, ended.rows_failed, ended.rows_left) == (State.FAILED, 1, 1)
        assert KEKRunFailure.objects.count() == 1


class TestPace:
    def test_so_many_rows_take_so_long(self):
        time = [0.0]
        pace = Pace(10, clock=lambda: time[0], nap=lambda seconds: time.__setitem__(0, time[0] + seconds))

        for _ in range(5):
            assert pace.keep(10, go_on=lambda: True)

        assert time[0] == pytest.approx(5.0)

    def test_who_waits_listens(self):
        time = [0.0]
        pace = Pace(1, clock=lambda: time[0], nap=lambda seconds: time.__setitem__(0, time[0] + seconds))

        assert not pace.keep(100, go_on=lambda: time[0] < 2)
        assert time[0] < 3

    @pytest.mark.parametrize(("rate", "size"), [(None, 100), (1000, 100), (10, 10), (0.5, 1)])
    def test_pages_are_a_seconds_worth_at_most(self, rate, size):
        assert Pace(rate).page_size(100) == size


def test_scope_survives_being_written():
    scope = Scope(project="p", mkek="m", created_before=timezone.now(), over_encryptions=3)

    assert Scope.read(scope.written()) == scope
