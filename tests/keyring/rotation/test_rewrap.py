"""A new MKEK: every pKEK comes under it, proven, while everything stays readable."""

import pytest

from hsm.keys import UnwrapTemplate
from hsm.provider import hsm
from keepsite.errors import Conflict
from keepsite.keyring import mkeks
from keepsite.keyring.models import MKEK, KEKRun, KEKRunFailure, ProjectKEK
from keepsite.keyring.rotation import runs
from keepsite.keyring.rotation.scope import Scope
from tests.keyring.rotation.conftest import ACTOR, active, all_read_back, execute, run_to_its_end

REWRAP = KEKRun.Kind.REWRAP


def forget_handles():
    for pkek in ProjectKEK.objects.all():
        hsm().forget(pkek.id)


class TestRewrap:
    def test_every_pkek_comes_under_the_current_mkek_and_every_payload_opens(self, projects, new_mkek):
        current = new_mkek()

        run = run_to_its_end(REWRAP)

        assert (run.state, run.rows_done, run.rows_left) == (KEKRun.State.DONE, 3, 0)
        assert {pkek.mkek for pkek in ProjectKEK.objects.all()} == {current}
        forget_handles()
        assert all_read_back(projects)

    def test_it_costs_seven_calls_for_each_pkek(self, projects, new_mkek, shim):
        new_mkek()
        projects[0][0].store("the process has proven the new MKEK")
        run_to_its_end(REWRAP, Scope(project="p1"))

        with shim.counting() as calls:
            run_to_its_end(REWRAP)

        assert calls == {
            "C_UnwrapKey": 4,
            "C_WrapKey": 2,
            "C_DestroyObject": 4,
            "C_DecryptInit": 2,
            "C_Decrypt": 2,
        }

    def test_handles_that_are_cached_stay_good(self, projects, new_mkek, shim):
        new_mkek()
        assert all_read_back(projects)
        run_to_its_end(REWRAP)

        with shim.counting() as calls:
            assert all_read_back(projects)

        assert calls == {"C_DecryptInit": 6, "C_Decrypt": 6}

    def test_again_there_is_nothing_to_do(self, projects, new_mkek):
        new_mkek()
        run_to_its_end(REWRAP)

        run = run_to_its_end(REWRAP)

        assert (run.state, run.rows_done) == (KEKRun.State.DONE, 0)

    def test_one_project_alone(self, projects, new_mkek, mkek):
        new_mkek()

        run_to_its_end(REWRAP, Scope(project="p2"))

        assert active("p2").mkek != mkek
        assert active("p1").mkek == mkek

    def test_a_row_that_somebody_else_rewrapped_meanwhile_is_left_alone(self, projects, new_mkek):
        from keepsite.keyring.rotation.rewrap import Rewrap

        new_mkek()
        slow = Rewrap(Scope())
        page = [row for page in slow.pages(10) for row in page]
        run_to_its_end(REWRAP)
        after = {pkek.id: bytes(pkek.wrapped_pkek) for pkek in ProjectKEK.objects.all()}

        outcome = slow.move(page)

        assert (outcome.done, outcome.lost) == (0, 3)
        assert {pkek.id: bytes(pkek.wrapped_pkek) for pkek in ProjectKEK.objects.all()} == after

    def test_strict_keys_are_refused_with_the_way_to_go(self, api, new_mkek):
        new_mkek(template=UnwrapTemplate.STRICT)
        api.other(project="under strict").store("x")
        new_mkek()

        with pytest.raises(Conflict, match="pkek_rotate --mkek"):
            runs.start(REWRAP, Scope(), actor=ACTOR)


class TestDamagedRows:
    @pytest.fixture
    def damaged(self, projects, new_mkek):
        """A pKEK whose wrapped bytes are not what they were, and a new MKEK."""
        pkek = active("p2")
        good = bytes(pkek.wrapped_pkek)
        ProjectKEK.objects.filter(id=pkek.id).update(wrapped_pkek=bytes([good[0] ^ 1]) + good[1:])
        new_mkek()
        pkek.good = good
        return pkek

    def test_the_others_are_done_and_the_failure_is_named(self, damaged, mkek):
        run = run_to_its_end(REWRAP)

        assert (run.state, run.rows_done, run.rows_failed, run.rows_left) == (KEKRun.State.FAILED, 2, 1, 1)
        failure = KEKRunFailure.objects.get(run=run)
        assert (failure.row_kind, failure.row_id) == ("projectkek", damaged.id)
        assert failure.error == run.last_error == "IntegrityFailed"
        assert ProjectKEK.objects.get(id=damaged.id).mkek == mkek

    def test_once_mended_a_retry_does_the_rest(self, damaged, projects):
        run = run_to_its_end(REWRAP)
        ProjectKEK.objects.filter(id=damaged.id).update(wrapped_pkek=damaged.good)

        runs.resume(run, actor=ACTOR)
        run = execute(run)

        assert (run.state, run.rows_failed, run.rows_left) == (KEKRun.State.DONE, 0, 0)
        assert not KEKRunFailure.objects.filter(run=run).exists()
        assert all_read_back(projects)

    def test_another_projects_key_is_not_carried_over(self, projects, new_mkek, mkek):
        ours, theirs = active("p1"), active("p2")
        ProjectKEK.objects.filter(id=ours.id).update(wrapped_pkek=bytes(theirs.wrapped_pkek))
        new_mkek()

        run = run_to_its_end(REWRAP)

        assert run.rows_failed == 1
        assert ProjectKEK.objects.get(id=ours.id).mkek == mkek


class TestTokenAway:
    def test_a_run_waits_for_it_and_ends(self, projects, new_mkek, shim, monkeypatch):
        naps = []

        def nap(seconds):
            naps.append(seconds)
            shim.clear()

        new_mkek()
        monkeypatch.setattr("keepsite.keyring.rotation.execution.time.sleep", nap)
        shim.answer(0x02, "C_WrapKey")

        run = run_to_its_end(REWRAP, batch_rows=1)

        assert naps
        assert (run.state, run.rows_done, run.rows_failed) == (KEKRun.State.DONE, 3, 0)

    def test_a_command_gives_up_in_the_end_and_says_why(self, projects, new_mkek, shim):
        new_mkek()
        shim.answer(0x02, "C_WrapKey")

        run = run_to_its_end(REWRAP, patience_s=0)

        assert (run.state, run.rows_left) == (KEKRun.State.FAILED, 3)
        assert run.last_error == "PoolExhausted"


class TestRetire:
    def test_refused_while_a_pkek_needs_it_with_number_and_place(self, projects, new_mkek, mkek):
        new_mkek()

        with pytest.raises(Conflict, match=r"3 pKEKs \(3 active\) of p1, p2, p3"):
            mkeks.retire_mkek(refreshed(mkek), actor=ACTOR)
        assert refreshed(mkek).state == MKEK.State.PREVIOUS

    def test_refused_while_only_a_deleted_secret_needs_it(self, projects, new_mkek, mkek):
        caller, stored = projects[0]
        for path in stored.values():
            caller.delete(path)
        new_mkek()
        run_to_its_end(REWRAP, Scope(project="p2"))
        run_to_its_end(REWRAP, Scope(project="p3"))

        with pytest.raises(Conflict, match="of p1:"):
            mkeks.retire_mkek(refreshed(mkek), actor=ACTOR)

    def test_refused_for_a_while_after_it_was_replaced(self, projects, new_mkek, mkek, settings):
        settings.KEK_GRACE_S = 3600
        new_mkek()
        run_to_its_end(REWRAP)

        with pytest.raises(Conflict, match="Retire it after"):
            mkeks.retire_mkek(refreshed(mkek), actor=ACTOR)

    def test_refused_for_the_current_one(self, mkek):
        with pytest.raises(Conflict, match="only a previous MKEK"):
            mkeks.retire_mkek(mkek, actor=ACTOR)

    def test_once_nothing_needs_it_it_goes(self, projects, new_mkek, mkek, audited):
        new_mkek()
        run_to_its_end(REWRAP)

        mkeks.retire_mkek(refreshed(mkek), actor=ACTOR)

        assert refreshed(mkek).state == MKEK.State.RETIRED
        (retired,) = audited("mkek.retired")
        assert (retired["before"], retired["after"]) == ({"state": "previous"}, {"state": "retired"})
        assert all_read_back(projects)


def refreshed(row):
    return type(row).objects.get(pk=row.pk)
