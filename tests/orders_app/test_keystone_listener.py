"""Keystone's announcements, from its own notifier through RabbitMQ: heard once, obeyed, bounded."""

import json
import threading

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from kombu import Connection, Message

from keepsite.celery import app
from keepsite.errors import InvalidInput, NotFound, Unavailable
from keepsite.identity.operators import command_principal
from keepsite.projects.models import Project
from keepsite.projects.services import ensure_project
from orders_app import dead_letters, keystone_events, metrics
from orders_app.keystone_events import Deletion, TooManyDeletions, clear_alarm, deletion_in, obey
from orders_app.keystone_listener import QUEUE, KeystoneListener
from orders_app.limits import OrderLimits
from orders_app.models import DeadLetter, RetirementAlarm
from orders_app.relay import Relay
from tests.support.product import Product
from tests.support.product_rows import ProductRows
from tests.support.servers.keystone import Keystone, send_notifications
from tests.support.waiting import wait_until

PLAIN = {
    "message_id": "m1",
    "publisher_id": "identity.host",
    "event_type": "identity.project.deleted",
    "priority": "INFO",
    "payload": {"resource_info": "p1"},
    "timestamp": "2026-01-31 12:00:00",
}


def deletion(project):
    return Deletion(event_type="identity.project.deleted", project_id=project, message_id="m1")


def retired():
    return {*Project.objects.exclude(retired_at=None).values_list("external_id", flat=True)}


class TestDeletionIn:
    def test_plain_and_in_an_envelope(self):
        envelope = {"oslo.version": "2.0", "oslo.message": json.dumps(PLAIN)}

        assert deletion_in(PLAIN) == deletion_in(envelope) == deletion("p1")

    def test_of_a_domain(self):
        assert deletion_in(PLAIN | {"event_type": "identity.domain.deleted"}).project_id == "p1"

    @pytest.mark.parametrize("event_type", ["identity.project.created", "identity.user.deleted", "compute.x"])
    def test_other_events_are_none(self, event_type):
        assert deletion_in(PLAIN | {"event_type": event_type}) is None

    def test_one_that_failed_is_none(self):
        assert deletion_in(PLAIN | {"payload": {"resource_info": "p1", "outcome": "failure"}}) is None

    @pytest.mark.parametrize(
        "body",
        [
            None,
            [],
            "text",
            {},
            PLAIN | {"payload": "p1"},
            PLAIN | {"payload": {}},
            PLAIN | {"payload": {"resource_info": ""}},
            PLAIN | {"payload": {"resource_info": "x" * 256}},
            {"oslo.message": "{"},
            {"oslo.message": {}},
        ],
    )
    def test_what_is_no_notification_is_refused(self, body):
        with pytest.raises(InvalidInput):
            deletion_in(body)


class TestObey:
    def test_told_twice_it_is_done_once(self, api, audited):
        api.store("x")
        for _ in range(2):
            obey(deletion("p1"))

        (record,) = audited("project.retired")
        assert retired() == {"p1"}
        assert (record["method"], record["reason"]) == (
            "keystone-listener",
            "Keystone: identity.project.deleted (m1)",
        )
        assert record["before"] == {"retired_at": None}
        assert record["after"]["retired_at"]

    def test_a_project_that_was_never_here_makes_no_row(self, mkek):
        obey(deletion("elsewhere"))

        assert not Project.objects.filter(external_id="elsewhere").exists()


class TestFull:
    def test_what_cannot_be_kept_stays_in_the_queue(self, db, monkeypatch):
        monkeypatch.setattr(dead_letters, "MOST_KEPT", 0)
        foreign = Message(body=b"foreign", content_type="text/plain", headers={}, properties={})

        with pytest.raises(Unavailable):
            KeystoneListener("amqp://unused")._take(foreign)

        assert not foreign.acknowledged
        assert not DeadLetter.objects.exists()


class TestAlarm:
    @pytest.fixture
    def alarmed(self, mkek, settings):
        """The third of three projects was one too many."""
        settings.KEYSTONE_EVENTS_MAX_PER_HOUR = 2
        for name in ("a", "b", "c", "d"):
            ensure_project(name)
        obey(deletion("a"))
        obey(deletion("b"))
        with pytest.raises(TooManyDeletions):
            obey(deletion("c"))

    def test_nothing_more_goes_until_it_is_cleared(self, alarmed, audited):
        with pytest.raises(TooManyDeletions):
            obey(deletion("d"))
        assert retired() == {"a", "b"}
        assert RetirementAlarm.objects.count() == 1

        clear_alarm(actor=command_principal(), reason="they were meant")
        obey(deletion("c"))
        obey(deletion("d"))

        assert retired() == {"a", "b", "c", "d"}
        (record,) = audited("keystone_alarm.cleared")
        assert (record["before"]["cleared_at"], bool(record["after"]["cleared_at"])) == (None, True)

    def test_it_is_a_metric_that_relays_tell(self, alarmed):
        def told():
            Relay(app, OrderLimits.from_settings(), report=metrics.tell)._report()
            return metrics.RETIREMENT_ALARM._value.get()

        assert told() == 1
        clear_alarm(actor=command_principal(), reason="they were meant")
        assert told() == 0

    def test_what_is_retired_already_raises_none(self, alarmed):
        obey(deletion("a"))

    def test_the_listener_does_not_start_under_it(self, alarmed):
        with pytest.raises(TooManyDeletions):
            KeystoneListener("amqp://unused").run(threading.Event())

    def test_the_command_clears_it_with_a_reason(self, alarmed, capsys):
        with pytest.raises(CommandError, match="reason"):
            call_command("keystone_listener", "--clear-alarm")
        call_command("keystone_listener", "--clear-alarm", "--reason", "they were meant")

        assert keystone_events.standing_alarm() is None
        with pytest.raises(CommandError, match="No alarm"):
            call_command("keystone_listener", "--clear-alarm", "--reason", "again")

    def test_without_an_alarm_there_is_nothing_to_clear(self, mkek):
        with pytest.raises(NotFound):
            clear_alarm(actor=command_principal(), reason="x")


@pytest.fixture
def exchange(broker_url):
    """Keystone's exchange and our queue, as if neither had ever been there."""

    def forget():
        with Connection(broker_url) as broker:
            broker.default_channel.queue_delete(QUEUE)
            broker.default_channel.queue_delete("notifications.info")
            broker.default_channel.exchange_delete("keystone")

    forget()
    yield
    forget()


@pytest.fixture
def listening(broker_url, exchange):
    """Runs a listener in a thread; ``failure()`` is what ended it."""
    stop, failures = threading.Event(), []

    def work():
        try:
            KeystoneListener(broker_url).run(stop)
        except TooManyDeletions as error:
            failures.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    yield lambda: thread.start() if not thread.ident else failures
    stop.set()
    if thread.ident:
        thread.join(60)


def oslo_url(broker_url):
    return broker_url.replace("amqp://", "rabbit://")


def messages_left(broker_url):
    with Connection(broker_url) as broker:
        return broker.default_channel.queue_declare(QUEUE, passive=True).message_count


def somebody_listens(broker_url):
    """Whether the queue has a consumer: by then it is bound too."""
    with Connection(broker_url) as broker:
        try:
            return broker.default_channel.queue_declare(QUEUE, passive=True).consumer_count > 0
        except broker.channel_errors:
            return False


@pytest.mark.broker
@pytest.mark.keystone
@pytest.mark.django_db(transaction=True)
class TestListener:
    @pytest.mark.parametrize("driver", ["messaging", "messagingv2"])
    def test_the_notifiers_messages_are_obeyed_and_leave_the_queue(self, api, broker_url, listening, driver):
        api.store("x")
        others = api.other(project="p2").store("y")
        url = oslo_url(broker_url)
        listening()  # before there is an exchange: it waits for it
        send_notifications(url, [["identity.project.created", {"resource_info": "p1"}]], driver=driver)
        wait_until(lambda: somebody_listens(broker_url), 60)
        events = [
            ["identity.project.updated", {"resource_info": "p2"}],
            ["identity.project.deleted", {"resource_info": "p1"}],
            ["identity.project.deleted", {"resource_info": "p1"}],
            ["identity.domain.deleted", {"resource_info": "nobody"}],
        ]
        send_notifications(url, events, driver=driver)

        wait_until(lambda: retired() == {"p1"}, 60)
        wait_until(lambda: messages_left(broker_url) == 0, 60)
        assert others
        assert api.other(project="p2").get("/v1/secrets").json()["total"] == 1

    def test_foreign_messages_are_kept_with_a_reason_and_harm_nothing(self, api, broker_url, listening):
        api.store("x")
        url = oslo_url(broker_url)
        send_notifications(url, [["identity.project.created", {}]], driver="messaging")
        listening()
        wait_until(lambda: somebody_listens(broker_url), 60)
        with Connection(broker_url) as broker, broker.Producer() as producer:
            for body in ("no JSON", b"\xff", '{"event_type": "identity.project.deleted", "payload": 1}'):
                producer.publish(
                    body, exchange="keystone", routing_key="notifications.info",
                    content_type="application/json", content_encoding="utf-8",
                )  # fmt: skip
        send_notifications(url, [["identity.project.deleted", {"resource_info": "p1"}]], driver="messagingv2")

        wait_until(lambda: retired() == {"p1"}, 60)
        assert {letter.queue for letter in DeadLetter.objects.all()} == {QUEUE}
        assert DeadLetter.objects.count() == 3

    def test_a_burst_stops_it_and_its_message_waits(self, mkek, broker_url, listening, settings):
        settings.KEYSTONE_EVENTS_MAX_PER_HOUR = 2
        names = [f"burst-{number}" for number in range(5)]
        for name in names:
            ensure_project(name)
        url = oslo_url(broker_url)
        send_notifications(url, [["identity.project.created", {}]], driver="messaging")
        listening()
        wait_until(lambda: somebody_listens(broker_url), 60)
        send_notifications(
            url, [["identity.project.deleted", {"resource_info": name}] for name in names], driver="messaging"
        )

        wait_until(listening, 60)
        assert len(retired()) == 2
        wait_until(lambda: messages_left(broker_url) == 3, 60)


@pytest.mark.broker
@pytest.mark.keystone
@pytest.mark.processes
class TestRealKeystone:
    def test_a_project_and_a_domain_that_it_deletes_are_retired(
        self, tmp_path, new_database_url, broker_url, exchange
    ):
        with Keystone(notify_url=oslo_url(broker_url)) as keystone:
            domain = keystone.make_domain("doomed")
            single = keystone.make_project("single")
            inside = [keystone.make_project(f"inside-{number}", domain) for number in range(2)]
            product = Product(
                tmp_path / "state",
                database_url=new_database_url(),
                KEEPSITE_KEYSTONE_EVENTS_URL=broker_url,
            ).setup()
            rows = ProductRows(product)
            for project in (single, *inside, "kept"):
                product.make_key(project=project, user="u", roles=["member"])
            try:
                product.start("listener")
                wait_until(lambda: somebody_listens(broker_url), 60)
                keystone.delete_project(single)
                keystone.delete_domain(domain)

                wait_until(lambda: rows.count("projects_project", "retired_at IS NOT NULL") == 3, 60)
            finally:
                product.stop()
            assert rows.count("projects_project", "retired_at IS NULL AND external_id = 'kept'") == 1
