import os
import signal
import socket
import threading
import urllib.request
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from keepsite.errors import Conflict, NotFound
from keepsite.identity.operators import command_principal
from keepsite.nodes import services, state_file
from keepsite.nodes.agent import agent
from keepsite.nodes.agent.agent import NodeAgent
from keepsite.nodes.in_flight import InFlight
from keepsite.nodes.models import Node, Promotion, PromotionStep
from keepsite.nodes.states import DOWN, Colour, NodeState
from tests.support.waiting import wait_until

ACTOR = command_principal()


class TestHeartbeat:
    def test_a_new_host_starts_out_of_service(self, db, limits):
        NodeAgent(limits).beat()

        assert state_file.read(limits.state_path) == DOWN
        assert Node.objects.get().state == DOWN

    def test_a_lost_table_flips_no_node(self, db, limits):
        state_file.write(limits.state_path, NodeState(Colour.GREEN))

        NodeAgent(limits).beat()

        assert state_file.read(limits.state_path) == NodeState(Colour.GREEN)
        assert Node.objects.get().wanted == NodeState(Colour.GREEN)

    def test_the_wish_reaches_the_file_within_a_beat(self, db, limits):
        agent = NodeAgent(limits)
        agent.beat()

        services.want("tests", NodeState(Colour.BLUE), actor=ACTOR, reason="new", now=timezone.now())
        agent.beat()

        assert state_file.read(limits.state_path) == NodeState(Colour.BLUE)

    def test_offline_is_written_also_where_there_never_was_a_colour(self, db, limits):
        """Without a file its workers would go on taking messages."""
        agent = NodeAgent(limits)
        agent.beat()
        assert state_file.takes_work(limits.state_path)

        services.want("tests", DOWN, actor=ACTOR, reason="rest", now=timezone.now())
        agent.beat()

        assert limits.state_path.read_text() == "none down\n"
        assert not state_file.takes_work(limits.state_path)

    def test_a_database_that_is_away_changes_nothing(self, db, limits, settings):
        from django.db import OperationalError

        state_file.write(limits.state_path, NodeState(Colour.GREEN))

        def refuse(*_):
            raise OperationalError(2002, "away")

        with connection.execute_wrapper(refuse):
            NodeAgent(limits).beat()

        assert state_file.read(limits.state_path) == NodeState(Colour.GREEN)

    def test_a_node_that_is_forgotten_as_it_reports_is_registered_by_its_next_beat(self, hosts):
        def forget(execute, sql, params, many, context):
            answer = execute(sql, params, many, context)
            if sql.startswith("UPDATE") and "nodes_node" in sql:
                Node.objects.filter(name="g1").delete()
            return answer

        with connection.execute_wrapper(forget), pytest.raises(Conflict, match="forgotten at this moment"):
            hosts["g1"].beat()
        hosts["g1"].beat()

        assert Node.objects.get(name="g1").state == NodeState(Colour.GREEN)


class TestRunning:
    """The agent as its command runs it, with its answers to balancers."""

    @pytest.fixture
    def bind(self, db, limits, settings, monkeypatch):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            settings.NODE_BIND = f"127.0.0.1:{free.getsockname()[1]}"
        settings.NODE_STATE_FILE = limits.state_path
        settings.NODE_HEARTBEAT_S = 0.01
        monkeypatch.setattr(agent, "close_old_connections", lambda: None)  # the test's own has a transaction
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        yield settings.NODE_BIND
        for number, handler in before.items():
            signal.signal(number, handler)

    def test_a_fault_nobody_foresaw_ends_neither_the_agent_nor_its_answers(self, bind, limits, caplog):
        """A step that only a later release knows would otherwise stop the agents of all nodes at once."""
        state_file.write(limits.state_path, NodeState(Colour.GREEN))
        node = Node.objects.create(name="b1", version="2", heartbeat_at=timezone.now())
        promotion = Promotion.objects.create(started_by="anna", reason="release 3")
        PromotionStep.objects.create(promotion=promotion, position=0, node=node, act="to_pink")
        told, ended = [], threading.Event()

        def failed_beats():
            return sum("node_agent.beat_failed" in record.getMessage() for record in caplog.records)

        def look():
            try:
                wait_until(lambda: failed_beats() > 1 or ended.is_set())
                with urllib.request.urlopen(f"http://{bind}/green", timeout=5) as answer:
                    told.append(answer.read())
            finally:
                os.kill(os.getpid(), signal.SIGTERM)

        looking = threading.Thread(target=look)
        looking.start()
        try:
            call_command("node_agent")
        finally:
            ended.set()
            looking.join()

        assert told == [b"green up\n"]
        assert Node.objects.get(name="tests").state == NodeState(Colour.GREEN)
        assert Promotion.objects.get().lease_until is None


class TestWorkers:
    """Those of one node, as its agent reports them."""

    @pytest.fixture
    def agent(self, db, limits, settings):
        settings.NODE_STATE_FILE = limits.state_path
        settings.NODE_WORKERS = limits.state_path.parent / "workers"
        return NodeAgent(limits)

    @pytest.mark.parametrize(("state", "busy"), [("green up", 0), ("green drain", 1), ("blue up", 1)])
    def test_one_that_is_to_take_nothing_counts_until_it_has_finished(
        self, agent, limits, settings, state, busy
    ):
        state_file.write(limits.state_path, NodeState.parse(state))

        with InFlight(settings.NODE_WORKERS):
            agent.beat()
            during = Node.objects.get().requests_in_flight
        agent.beat()

        assert (during, Node.objects.get().requests_in_flight) == (busy, 0)


class TestMarkLost:
    def test_a_silent_node_is_marked_once_until_it_is_heard_again(self, hosts):
        now = timezone.now()
        Node.objects.filter(name="b1").update(heartbeat_at=now - timedelta(minutes=3))

        first, second = (services.mark_lost(now=now, silent_for=timedelta(minutes=2)) for _ in range(2))
        lost = Node.objects.get(name="b1").lost_at
        hosts["b1"].beat()

        assert (first, second, lost) == (["b1"], [], now)
        assert Node.objects.get(name="b1").lost_at is None


class TestWant:
    def test_the_act_is_recorded_with_its_reason(self, hosts, audited):
        services.want(
            "g1", NodeState(Colour.GREEN, draining=True), actor=ACTOR, reason="disk", now=timezone.now()
        )

        assert audited("node.state_wanted")[0]["reason"] == "green drain: disk"

    def test_a_node_without_a_colour_cannot_drain(self, hosts):
        with pytest.raises(Conflict, match="nothing to drain"):
            services.want(
                "g1", NodeState(Colour.NONE, draining=True), actor=ACTOR, reason="", now=timezone.now()
            )

    def test_an_unknown_name_is_answered_with_those_known(self, hosts):
        with pytest.raises(NotFound, match="b1, b2, g1, g2"):
            services.want("g9", DOWN, actor=ACTOR, reason="", now=timezone.now())


class TestForget:
    def test_a_living_node_stays(self, hosts, limits):
        with pytest.raises(Conflict, match="still sends heartbeats"):
            services.forget(
                "g1", actor=ACTOR, reason="", now=timezone.now(), heard_within=limits.heard_within
            )

    def test_a_silent_one_goes(self, hosts, limits):
        later = timezone.now() + timedelta(hours=1)

        services.forget("g1", actor=ACTOR, reason="scrapped", now=later, heard_within=limits.heard_within)

        assert not Node.objects.filter(name="g1").exists()

    def test_what_it_was_is_recorded(self, hosts, limits, audited):
        later = timezone.now() + timedelta(hours=1)

        services.forget("g1", actor=ACTOR, reason="scrapped", now=later, heard_within=limits.heard_within)

        (record,) = audited("node.forgotten")
        assert (record["before"]["state"], record["before"]["version"]) == ("green up", "1.0")
        assert record["after"] == {}
