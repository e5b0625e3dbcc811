"""Messages on both transports: what is not the relay's is kept with a reason, and harms nothing."""

import json
import os
import urllib.request

import pytest
from celery import Celery
from django.core.management import CommandError, call_command
from django.utils import timezone
from kombu import Connection, Message

from keepsite.celery import app as real_app
from keepsite.env import broker as broker_settings
from keepsite.errors import Conflict, NotAllowed, NotFound
from keepsite.identity.operators import command_principal
from keepsite.ids import new_id
from keepsite.keyring.tasks import RUN
from keepsite.nodes import state_file
from keepsite.nodes.in_flight import requests_in_flight
from keepsite.nodes.states import NodeState
from orders_app import dead_letters
from orders_app.consumer import problem_of
from orders_app.figures import queue_depths
from orders_app.models import DeadLetter
from orders_app.services.claims import worker_of
from orders_app.tasks import FULFIL, RUN_JOB
from tests.support.product import Product
from tests.support.product_rows import ProductRows
from tests.support.remote import Remote
from tests.support.waiting import wait_until

LETTERS = "orders_app_deadletter"
FOLLOW_UP = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def body_of(*arguments, named=None, follow_up=FOLLOW_UP):
    return [list(arguments), named or {}, follow_up]


FOREIGN = {
    "no task named": ({}, body_of("x")),
    "of another release": ({"task": "orders.fulfil.v9"}, body_of("x")),
    "one of Celery's own": ({"task": "celery.backend_cleanup"}, body_of()),
    "no JSON": ({"task": FULFIL}, b"{"),
    "pickled": ({"task": FULFIL}, b"cos\nsystem\n"),
    "a list": ({"task": FULFIL}, []),
    "two ids": ({"task": FULFIL}, body_of("x", "y")),
    "a number": ({"task": FULFIL}, body_of(7)),
    "a named argument": ({"task": FULFIL}, body_of("x", named={"order_id": "y"})),
    "a very long id": ({"task": FULFIL}, body_of("x" * 65)),
    "another task to follow": ({"task": FULFIL}, body_of("x", follow_up={"callbacks": [{"task": "t"}]})),
    "for the next century": ({"task": FULFIL, "eta": "2099-01-01T00:00:00"}, body_of("x")),
}


def encoded(body):
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def message(headers, body, **options):
    content_type = "application/x-python-serialize" if body[:4] == b"cos\n" else "application/json"
    return Message(
        body=encoded(body), headers=headers, content_type=content_type, content_encoding="utf-8",
        accept={"application/json"}, properties={"correlation_id": "c1"}, **options,
    )  # fmt: skip


class TestProblemOf:
    @pytest.mark.parametrize(("headers", "body"), FOREIGN.values(), ids=FOREIGN)
    def test_foreign_ones_have_one(self, headers, body):
        assert problem_of(message(headers, body), tasks=real_app.tasks)

    @pytest.mark.parametrize("task", [FULFIL, RUN_JOB, RUN])
    def test_the_relays_have_none(self, task):
        assert problem_of(message({"task": task}, body_of(new_id())), tasks=real_app.tasks) is None


class TestFolder:
    def test_a_message_is_there_whole_or_not_at_all(self, tmp_path, monkeypatch):
        """A worker that looks while a message is written must not find half of it."""
        seen = []
        replace = os.replace

        def look(unfinished, finished):
            seen.append([file.name for file in tmp_path.glob("*.msg")])
            replace(unfinished, finished)

        monkeypatch.setattr(os, "replace", look)
        folders = dict.fromkeys(("data_folder_in", "data_folder_out", "control_folder"), str(tmp_path))
        with Connection("filesystem://", transport_options=folders) as folder:
            queue = folder.SimpleQueue("q")
            queue.put({"a": 1})
            message = queue.get(timeout=5)
            message.ack()
            queue.close()
        assert message.payload == {"a": 1}
        assert seen == [[]]


class TestKeep:
    def test_a_message_delivered_twice_is_one_row(self, mkek):
        first = dead_letters.keep(message({"task": "x", "x-keepsite-id": "1"}, body_of("x")))
        again = dead_letters.keep(message({"task": "x", "x-keepsite-id": "1"}, body_of("x")))
        other = dead_letters.keep(message({"task": "x", "x-keepsite-id": "2"}, body_of("x")))

        assert first.id == again.id != other.id
        assert DeadLetter.objects.count() == 2

    def test_it_says_which_order_and_why(self, order):
        death = {"reason": "delivery_limit", "queue": "keepsite.orders", "time": timezone.now()}
        letter = dead_letters.keep(message({"task": FULFIL, "x-death": [death]}, body_of(order.id)))

        assert (letter.task, letter.order_id) == (FULFIL, order.id)
        assert "delivery_limit" in letter.reason

    def test_of_a_huge_one_the_beginning_is_kept(self, mkek):
        letter = dead_letters.keep(message({"task": "x" * 20_000}, b"y" * 100_000))

        assert letter.size_bytes == 100_000
        assert len(letter.body) == dead_letters.MAX_BODY_BYTES
        assert len(letter.task) == 255
        with pytest.raises(Conflict, match="beginning"):
            dead_letters.replay(letter.id, actor=command_principal(), reason="x")


class TestSettle:
    @pytest.fixture
    def letter(self, order):
        return dead_letters.keep(message({"task": FULFIL}, body_of(order.id)))

    @pytest.mark.parametrize("act", [dead_letters.replay, dead_letters.discard])
    def test_once_by_operators_alone(self, act, letter, order):
        with pytest.raises(NotAllowed):
            act(letter.id, actor=worker_of(order), reason="x")
        with pytest.raises(NotFound):
            act("unknown", actor=command_principal(), reason="x")
        act(letter.id, actor=command_principal(), reason="x")
        with pytest.raises(Conflict):
            act(letter.id, actor=command_principal(), reason="x")

    def test_by_command(self, letter, capsys):
        call_command("dead_letters", "list")
        assert letter.id in capsys.readouterr().out
        with pytest.raises(CommandError, match="reason"):
            call_command("dead_letters", "discard", letter.id)
        call_command("dead_letters", "discard", "--all", "--reason", "tests")
        with pytest.raises(CommandError, match="1 of 1"):
            call_command("dead_letters", "replay", letter.id, "--reason", "tests")

        letter.refresh_from_db()
        assert letter.state == DeadLetter.State.DISCARDED


@pytest.fixture(scope="module", params=["folder", pytest.param("rabbitmq", marks=pytest.mark.broker)])
def whole(request, tmp_path_factory, new_database_url):
    """The whole product on each transport, with a Celery application that talks to its broker."""
    url = request.getfixturevalue("broker_url") if request.param == "rabbitmq" else None
    product = Product(
        tmp_path_factory.mktemp("messages") / "state",
        database_url=new_database_url(),
        broker_url=url,
        KEEPSITE_ORDER_HANDOUT_S="3",
    ).setup()
    url, options = _transport(product.environment["KEEPSITE_BROKER_URL"])
    product.app = Celery("tests", broker=url, set_as_current=False)
    product.app.config_from_object("django.conf:settings", namespace="CELERY")
    product.app.conf.update(broker_url=url, broker_transport_options=options)
    try:
        yield product.start()
    finally:
        product.stop()
        product.app.close()


def _transport(url):
    from unittest import mock

    with mock.patch.dict("os.environ", {"KEEPSITE_BROKER_URL": url}):
        return broker_settings("KEEPSITE_BROKER_URL")


def publish(product, headers, body):
    """Put anything into the queue of orders."""
    queue = product.app.amqp.queues["keepsite.orders"]
    content_type = "application/x-python-serialize" if body[:4] == b"cos\n" else "application/json"
    with product.app.producer_or_acquire() as producer:
        producer.publish(
            encoded(body).decode(), headers=headers, content_type=content_type, content_encoding="utf-8",
            exchange=queue.exchange, routing_key=queue.routing_key, declare=[queue], correlation_id=new_id(),
        )  # fmt: skip


def listed(product):
    return [json.loads(line) for line in product.manage("dead_letters", "list", "--json").splitlines()]


def told(whole):
    """What /metrics says."""
    with urllib.request.urlopen(f"{whole.url}/metrics", timeout=10) as answer:
        return answer.read().decode()


@pytest.mark.processes
class TestWholeProduct:
    def test_an_order_is_made(self, whole):
        remote = Remote(whole)
        path = remote.order_key()

        wait_until(lambda: remote.get(path).json()["status"] == "ACTIVE", 60)

    def test_the_relays_figures_are_metrics_of_the_node(self, whole):
        wait_until(lambda: 'keepsite_queue_messages{queue="keepsite.orders"} ' in told(whole), 30)
        for name in ("waiting", "oldest_waiting_seconds", "retried", "dead_letters"):
            assert f"\nkeepsite_orders_{name} " in told(whole)

    def test_the_workers_calls_are_metrics_of_the_node(self, whole):
        remote = Remote(whole)
        path = remote.order_key()
        wait_until(lambda: remote.get(path).json()["status"] == "ACTIVE", 60)

        wait_until(lambda: 'verb="random"' in told(whole), 30)

    def test_a_worker_of_a_drained_node_takes_nothing_until_it_is_undrained(self, whole):
        remote = Remote(whole)
        state, workers = whole.folder / "node-state", whole.folder / "workers"
        wait_until(lambda: requests_in_flight(workers) == 1, 120)
        try:
            state_file.write(state, NodeState.parse("green drain"))
            wait_until(lambda: requests_in_flight(workers) == 0, 60)
            path = remote.order_key()
            wait_until(lambda: queue_depths(whole.app)["keepsite.orders"] > 0, 60)
            before = remote.get(path).json()["status"]
            state_file.write(state, NodeState.parse("green up"))

            wait_until(lambda: remote.get(path).json()["status"] == "ACTIVE", 60)
        finally:
            state.unlink()
        assert before == "PENDING"

    def test_foreign_messages_are_kept_and_orders_go_on(self, whole):
        remote, rows = Remote(whole), ProductRows(whole)
        before = rows.count(LETTERS)
        for headers, body in FOREIGN.values():
            publish(whole, headers, body)
        path = remote.order_key()

        wait_until(lambda: remote.get(path).json()["status"] == "ACTIVE", 60)
        wait_until(lambda: rows.count(LETTERS) == before + len(FOREIGN), 60)
        letters = listed(whole)
        assert all(letter["reason"] and letter["state"] == "kept" for letter in letters)
        status = json.loads(whole.manage("orders_status", "--json"))
        assert status["waiting"]["dead_letters"] == before + len(FOREIGN)
        assert status["queues"] == {"keepsite.orders": 0, "keepsite.dead": 0}

    def test_one_about_a_deleted_order_is_dropped_quietly(self, whole):
        remote, rows = Remote(whole), ProductRows(whole)
        path = remote.order_key()
        wait_until(lambda: remote.get(path).json()["status"] == "ACTIVE", 60)
        remote.call("DELETE", path)
        letters, secrets = rows.count(LETTERS), rows.count("secrets_app_secret")
        publish(whole, {"task": FULFIL, "id": new_id()}, body_of(path.rpartition("/")[2]))
        last = remote.order_key()
        wait_until(lambda: remote.get(last).json()["status"] == "ACTIVE", 60)

        assert rows.count("secrets_app_secret") == secrets + 1
        assert rows.count(LETTERS) == letters
        status = json.loads(whole.manage("orders_status", "--json"))
        assert status["queues"]["keepsite.orders"] == 0

    def test_a_replayed_message_reaches_a_worker(self, whole):
        """What this release does not know comes back to the dead letters: it was delivered again."""
        rows = ProductRows(whole)
        before = rows.count(LETTERS)
        publish(whole, {"task": "orders.fulfil.v8"}, body_of("x"))
        wait_until(lambda: rows.count(LETTERS) == before + 1, 60)
        (letter,) = [one for one in listed(whole) if one["task"] == "orders.fulfil.v8"]
        whole.manage("dead_letters", "replay", letter["id"], "--reason", "tests")

        wait_until(lambda: rows.count(LETTERS) == before + 2, 60)
        states = [one["state"] for one in listed(whole) if one["task"] == "orders.fulfil.v8"]
        assert sorted(states) == ["kept", "replayed"]

    def test_a_scheduled_job_runs_on_a_worker(self, whole):
        rows = ProductRows(whole)
        whole.manage("scheduled_jobs", "--run", "sweep")

        wait_until(lambda: rows.count("schedule_scheduledjob", "name = 'sweep' AND outcome = 'done'"), 60)

    def test_a_worker_that_is_asked_to_stop_gives_back_what_it_holds(self, whole):
        remote = Remote(whole)
        paths = [remote.order_key() for _ in range(20)]
        worker = whole.processes.pop("worker")
        worker.terminate()
        assert worker.wait(60) == 0
        whole.start("worker")

        for path in paths:
            wait_until(lambda path=path: remote.get(path).json()["status"] == "ACTIVE", 60)
