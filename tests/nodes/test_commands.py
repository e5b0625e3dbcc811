"""Exit codes of ``node_colour`` and ``promote``: what scripts and playbooks go by."""

import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from keepsite.nodes.limits import NodeLimits
from keepsite.nodes.management.commands import node_colour, promote
from keepsite.nodes.models import Node, Promotion, PromotionStep
from keepsite.nodes.states import ALL_STATES

DONE, REFUSED, USAGE, TIMED_OUT = range(4)


@pytest.fixture(autouse=True)
def site(hosts, limits, monkeypatch):
    monkeypatch.setattr(NodeLimits, "from_settings", lambda: limits)
    return hosts


@pytest.fixture
def run(capsys):
    """Runs a command; its exit code, and what it wrote or complained of."""

    def call(*words):
        try:
            call_command(*words)
        except CommandError as error:
            return error.returncode, str(error)
        return DONE, capsys.readouterr().out

    return call


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (node_colour, []),
        (node_colour, ["paint", "g1"]),
        (node_colour, ["drain", "g1", "--ask", "--emergency"]),
        (promote, []),
        (promote, ["start"]),
        (promote, ["rollback"]),
    ],
)
def test_what_is_not_understood_is_a_matter_of_usage(command, words, capsys):
    name = command.__name__.rpartition(".")[2]

    with pytest.raises(SystemExit) as ended:
        command.Command().run_from_argv(["manage.py", name, *words])

    assert ended.value.code == USAGE
    assert f"usage: manage.py {name}" in capsys.readouterr().err


class TestNodeColour:
    def test_status_shows_every_node(self, run):
        Node.objects.filter(name="b2").update(lost_at=timezone.now())
        Node.objects.filter(name="b1").update(heartbeat_at=timezone.now() - timedelta(minutes=1))

        code, told = run("node_colour", "status")

        assert code == DONE
        lines = {line.split()[0]: line for line in told.splitlines()}
        assert lines["g1"].split()[1:6] == ["api", "green", "up", "green", "up"]
        assert lines["b1"].endswith("SILENT")
        assert lines["b2"].endswith("LOST")

    def test_status_as_json_is_for_programs(self, run):
        code, told = run("node_colour", "status", "--json")

        found = {node["name"]: node for node in json.loads(told)}
        assert (code, found.keys()) == (DONE, {"g1", "g2", "b1", "b2"})
        assert (found["b1"]["state"], found["b1"]["wanted"], found["b1"]["lost_at"]) == (
            "blue up",
            "blue up",
            None,
        )

    def test_list_states_says_what_balancers_hear(self, run):
        code, told = run("node_colour", "list-states")

        lines = told.splitlines()
        assert (code, len(lines)) == (DONE, 1 + len(ALL_STATES))
        assert ["green", "drain", "404", "503", "404"] in [line.split() for line in lines]

    @pytest.mark.parametrize(
        "words", [("drain", "g9"), ("forget", "g9"), ("wait-drained", "g9"), ("forget", "g1")]
    )
    def test_what_cannot_be_done_is_refused(self, run, words):
        assert run("node_colour", *words)[0] == REFUSED

    def test_wait_drained_returns_once_nothing_is_under_way(self, site, run):
        run("node_colour", "drain", "g1", "--reason", "r")
        site["g1"].beat()
        site["g1"].beat(timezone.now() + timedelta(seconds=60))  # what it says after the command began

        assert run("node_colour", "wait-drained", "g1") == (DONE, "g1 has nothing under way.\n")

    @pytest.mark.parametrize(
        ("drains", "busy"), [(True, 2), (False, 0)], ids=["requests do not end", "it does not drain"]
    )
    def test_wait_drained_gives_up(self, site, run, drains, busy):
        if drains:
            run("node_colour", "drain", "g1", "--reason", "r")
        site["g1"].busy = busy
        site["g1"].beat()
        site["g1"].beat(timezone.now() + timedelta(seconds=60))

        code, told = run("node_colour", "wait-drained", "g1", "--timeout", "0")

        assert code == TIMED_OUT
        assert f"with {busy} requests" in told


class TestPromote:
    def start(self, run):
        return run("promote", "start", "--reason", "release 2", "--no-wait")

    def test_preflight_holds(self, run):
        code, told = run("promote", "preflight")

        assert (code, "NOT SO" in told) == (DONE, False)

    def test_preflight_that_does_not_hold_is_refused(self, run):
        Node.objects.filter(name="b1").update(pending_migrations=1)

        assert run("promote", "preflight")[0] == REFUSED
        assert self.start(run)[0] == REFUSED
        assert not Promotion.objects.exists()

    def test_status_where_there_was_none(self, run):
        assert run("promote", "status") == (DONE, "There has been no promotion yet.\n")

    @pytest.mark.parametrize(
        "words", [("watch",), ("resume", "--reason", "r"), ("rollback", "--reason", "r")]
    )
    def test_what_needs_a_promotion_is_refused_without(self, run, words):
        code, told = run("promote", *words)

        assert (code, "promotion" in told) == (REFUSED, True)

    def test_what_runs_cannot_be_resumed(self, run):
        assert self.start(run)[0] == DONE

        assert run("promote", "resume", "--reason", "r")[0] == REFUSED

    def test_watching_ends_before_it_does(self, run):
        self.start(run)

        assert run("promote", "watch", "--timeout", "0")[0] == TIMED_OUT
        assert Promotion.objects.get().state == Promotion.State.RUNNING

    def test_watching_says_that_it_stopped(self, run):
        self.start(run)
        Node.objects.filter(name="b1").update(heartbeat_at=timezone.now() - timedelta(minutes=1))

        code, told = run("promote", "watch")

        assert (code, told.startswith("Stopped: b1 has sent no heartbeat")) == (REFUSED, True)

    def test_watching_ends_with_it_and_it_can_be_rolled_back(self, run):
        self.start(run)
        PromotionStep.objects.update(state=PromotionStep.State.DONE)
        Node.objects.filter(name__startswith="b").update(wanted_colour="green")
        Node.objects.filter(name__startswith="g").update(wanted_colour="blue")

        code, told = run("promote", "watch")
        assert (code, told.splitlines()[-1].endswith("is done.")) == (DONE, True)

        assert run("promote", "rollback", "--reason", "errors rise", "--no-wait")[0] == DONE
        assert Promotion.objects.get().state == Promotion.State.ROLLING_BACK

    def test_status_says_what_a_rollback_passed_over(self, run):
        self.start(run)
        PromotionStep.objects.filter(node="b2").update(is_rollback=True, state=PromotionStep.State.DROPPED)

        code, told = run("promote", "status")

        assert (code, "passed over  turn green b2 (rollback)" in told) == (DONE, True)
