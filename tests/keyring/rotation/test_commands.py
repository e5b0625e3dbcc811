"""The commands: what they print, ask and exit with."""

import io
import json

import pytest
from django.core.management import CommandError, call_command

from keepsite.keyring.models import MKEK, KEKRun, ProjectKEK
from keepsite.keyring.rotation import runs
from keepsite.keyring.rotation.scope import Scope
from tests.keyring.rotation.conftest import ACTOR, active, all_read_back

State = KEKRun.State


def said(capsys, *arguments):
    call_command(*arguments)
    return capsys.readouterr().out


def told(capsys, *arguments):
    return json.loads(said(capsys, *arguments, "--json"))


class TestWholeRotation:
    def test_as_an_operator_does_it(self, projects, mkek, capsys):
        call_command("mkek_generate", "--label", "next")
        call_command("mkek_activate", "next", "--yes")
        with pytest.raises(SystemExit):
            call_command("kek_status")
        assert "left to rewrap: 3 pKEKs" in capsys.readouterr().out

        call_command("mkek_rewrap")
        call_command("mkek_retire", mkek.label, "--yes")
        call_command("pkek_rotate", "--all", "--yes")
        call_command("pkek_reencrypt")
        call_command("kek_status")

        out = capsys.readouterr().out
        assert "3 pKEKs active, 0 pKEKs decrypt_only, 3 pKEKs retired" in out
        assert MKEK.objects.get(id=mkek.id).state == MKEK.State.RETIRED
        assert all_read_back(projects)

    def test_under_a_strict_key_new_generations_take_the_place_of_rewrapping(self, api, mkek, capsys):
        call_command("mkek_generate", "--label", "strict", "--template", "strict")
        call_command("mkek_activate", "strict", "--yes")
        other = api.other(project="strict project")
        path = other.store("x")
        call_command("mkek_generate", "--label", "after strict")
        call_command("mkek_activate", "after strict", "--yes")
        with pytest.raises(CommandError, match="pkek_rotate --mkek strict"):
            call_command("mkek_rewrap")
        with pytest.raises(CommandError, match="pkek_rotate --mkek strict and pkek_reencrypt"):
            call_command("mkek_retire", "strict", "--yes")

        call_command("pkek_rotate", "--mkek", "strict", "--yes")
        call_command("pkek_reencrypt", "--mkek", "strict")
        call_command("mkek_retire", "strict", "--yes")

        assert other.get(f"{path}/payload").content == b"x"


class TestDryRun:
    @pytest.mark.parametrize(
        ("command", "count"),
        [(["mkek_rewrap"], 3), (["pkek_rotate", "--all"], 3), (["pkek_rotate", "--project", "p1"], 1)],
        ids=lambda value: " ".join(value) if isinstance(value, list) else "",
    )
    def test_it_counts_and_leaves_with_1(self, projects, new_mkek, capsys, command, count):
        new_mkek()

        with pytest.raises(SystemExit) as left:
            call_command(*command, "--dry-run", "--json")

        assert left.value.code == 1
        assert json.loads(capsys.readouterr().out)["left"] == count
        assert not KEKRun.objects.exists()
        assert ProjectKEK.objects.count() == 3

    def test_with_nothing_left_it_leaves_with_0(self, projects, capsys):
        assert told(capsys, "pkek_reencrypt", "--dry-run")["left"] == 0


class TestRuns:
    def test_json_tells_what_was_done(self, projects, new_mkek, capsys):
        new_mkek()

        answer = told(capsys, "mkek_rewrap")

        assert (answer["state"], answer["done"], answer["left"], answer["failed"]) == ("done", 3, 0, 0)

    def test_what_failed_is_named_and_the_exit_code_is_1(self, projects, new_mkek, capsys):
        spoilt = active("p2")
        ProjectKEK.objects.filter(id=spoilt.id).update(wrapped_pkek=bytes(40))
        new_mkek()

        with pytest.raises(SystemExit) as left:
            call_command("mkek_rewrap")

        assert left.value.code == 1
        assert f"projectkek {spoilt.id}: IntegrityFailed" in capsys.readouterr().out

    def test_the_next_command_goes_on_with_a_run_that_was_paused(self, projects, new_mkek, capsys):
        new_mkek()
        with pytest.raises(SystemExit):
            call_command("mkek_rewrap", "--limit", "1", "--batch", "1")

        call_command("mkek_rewrap")

        run = KEKRun.objects.get()
        assert (run.state, run.rows_done) == (State.DONE, 3)
        assert f"Going on with run {run.id}" in capsys.readouterr().err

    def test_two_rotations_at_once_have_one_goal(self, projects, capsys):
        with pytest.raises(SystemExit):
            call_command("pkek_rotate", "--all", "--yes", "--limit", "2", "--batch", "1")
        KEKRun.objects.update(state=State.RUNNING, runner="elsewhere/1/x")

        call_command("pkek_rotate", "--all", "--yes")

        assert sorted(ProjectKEK.objects.values_list("generation", flat=True)) == [1, 1, 1, 2, 2, 2]

    def test_what_workers_are_left_is_said_and_status_tells_when_it_is_done(self, projects, new_mkek, capsys):
        new_mkek()

        assert "waits for a worker with 3 left" in said(capsys, "mkek_rewrap", "--workers")

        with pytest.raises(SystemExit):
            call_command("kek_status")

    def test_workers_are_left_the_work(self, projects, new_mkek, capsys):
        new_mkek()

        answer = told(capsys, "mkek_rewrap", "--workers")

        run = KEKRun.objects.get(id=answer["run"])
        assert (run.state, run.by_workers, run.rows_done) == (State.QUEUED, True, 0)


class TestQuestions:
    @pytest.mark.parametrize(
        "command", [["pkek_rotate", "--all"], ["mkek_retire", "tests-mkek-1"]], ids=lambda value: value[0]
    )
    def test_nobody_there_to_ask_is_a_no(self, projects, monkeypatch, command):
        monkeypatch.setattr("sys.stdin", io.StringIO())

        with pytest.raises(CommandError, match="--yes"):
            call_command(*command)
        assert ProjectKEK.objects.count() == 3


class TestKEKRun:
    @pytest.fixture
    def run(self, projects, new_mkek):
        new_mkek()
        return runs.start(KEKRun.Kind.REWRAP, Scope(), actor=ACTOR, reason="drill")

    def test_list_and_show(self, run, capsys):
        assert f"{run.id}  mkek_rewrap     queued" in said(capsys, "kek_run", "list")
        shown = json.loads(said(capsys, "kek_run", "show", run.id, "--json"))[0]
        assert (shown["reason"], shown["left"], shown["done"]) == ("drill", 3, 0)

    @pytest.mark.parametrize(("verb", "state"), [("pause", "paused"), ("cancel", "cancelled")])
    def test_a_wish(self, run, capsys, verb, state):
        assert state in said(capsys, "kek_run", verb, run.id)
        assert KEKRun.objects.get().state == state

    def test_resume(self, run, capsys):
        call_command("kek_run", "pause", run.id)

        assert "queued" in said(capsys, "kek_run", "resume", run.id)

    def test_an_unknown_one_is_refused(self, mkek):
        with pytest.raises(CommandError, match="kek_run list"):
            call_command("kek_run", "show", "nonsense")
