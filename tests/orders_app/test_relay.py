"""The relay: every due order reaches the broker, in time and not twice at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from celery import Celery
from django.conf import settings as django_settings
from django.db import connection
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError

from keepsite.celery import app
from keepsite.env import broker_folders
from orders_app import services, wakeup
from orders_app.limits import OrderLimits
from orders_app.models import Order
from orders_app.relay import Relay
from orders_app.tasks import FULFIL
from tests.support.servers.ports import free_ports
from tests.support.waiting import wait_until

LIMITS = OrderLimits(lease_s=60, key_lease_s=15, handout_s=15, max_attempts=20, poll_s=0.1)


@pytest.fixture(autouse=True)
def messages():
    """Takes everything out of the broker: the arguments of each message, by task name."""
    for folder in broker_folders(django_settings.CELERY_BROKER_TRANSPORT_OPTIONS):
        folder.mkdir(parents=True, exist_ok=True)

    def take():
        taken = []
        with app.connection_for_read() as broker:
            queue = broker.SimpleQueue(app.amqp.queues["keepsite.orders"])
            while queue.qsize():
                message = queue.get(timeout=5)
                taken.append((message.headers["task"], message.payload[0]))
                message.ack()
            queue.close()
        return taken

    yield take
    take()


@pytest.fixture
def relay():
    return Relay(app, LIMITS)


class TestHandOut:
    def test_a_new_order_is_handed_out_at_once_and_once(self, relay, order, messages):
        now = timezone.now()

        assert relay.hand_out(now) == 1
        assert relay.hand_out(now + timedelta(seconds=1)) == 0
        assert messages() == [(FULFIL, [order.id])]

    def test_a_message_holds_the_id_and_nothing_else(self, relay, place, messages):
        order = place(name="hunter2")
        relay.hand_out(timezone.now())

        folder = Path(django_settings.CELERY_BROKER_TRANSPORT_OPTIONS["data_folder_in"])
        assert not any(b"hunter2" in file.read_bytes() for file in folder.iterdir())
        assert messages() == [(FULFIL, [order.id])]

    def test_oldest_first(self, relay, place, messages, monkeypatch):
        monkeypatch.setattr("orders_app.relay.BATCH", 2)
        placed = [place().id for _ in range(3)]
        relay.hand_out(timezone.now())

        assert set(Order.objects.exclude(handed_out_at=None).values_list("id", flat=True)) == {*placed[:2]}

    def test_keys_that_wait_together_are_one_message(self, relay, place, messages):
        placed = [place().id for _ in range(3)]

        assert relay.hand_out(timezone.now()) == 3
        assert messages() == [(FULFIL, [placed[0]])]

    def test_of_many_keys_a_message_stands_for_a_bounded_number(self, relay, place, messages, monkeypatch):
        monkeypatch.setattr("orders_app.relay.MOST_TOGETHER", 2)
        for _ in range(5):
            place()

        assert relay.hand_out(timezone.now()) == 5
        assert len(messages()) == 3

    @pytest.mark.parametrize(
        "fields", [{"type": "asymmetric"}, {"attempts": 1}], ids=["pairs", "second tries"]
    )
    def test_what_may_take_a_worker_down_or_long_has_a_message_of_its_own(
        self, relay, place, messages, fields
    ):
        placed = [place().id for _ in range(2)]
        Order.objects.update(**fields)
        relay.hand_out(timezone.now())

        assert {order_id for _, (order_id,) in messages()} == {*placed}

    def test_no_more_are_on_their_way_than_workers_take_before_copies_are_sent(
        self, relay, place, messages, monkeypatch
    ):
        monkeypatch.setattr("orders_app.relay.ON_THEIR_WAY", 2)
        for _ in range(3):
            place()
        now = timezone.now()

        assert relay.hand_out(now) == 2
        assert relay.hand_out(now + timedelta(seconds=1)) == 0
        services.claim(messages()[0][1][0])
        assert relay.hand_out(now + timedelta(seconds=2)) == 1

    def test_while_nobody_takes_them_few_copies_are_sent(self, relay, place, messages, monkeypatch):
        monkeypatch.setattr("orders_app.relay.ON_THEIR_WAY", 8)
        monkeypatch.setattr("orders_app.relay.FEWEST_ON_THEIR_WAY", 2)
        for _ in range(8):
            place()
        now = timezone.now()

        assert [relay.hand_out(now + timedelta(seconds=16 * times)) for times in range(5)] == [8, 4, 2, 2, 2]

    def test_an_unclaimed_order_is_handed_out_again_after_handout_s(self, relay, order, messages):
        now = timezone.now()
        relay.hand_out(now)

        assert relay.hand_out(now + timedelta(seconds=14)) == 0
        assert relay.hand_out(now + timedelta(seconds=16)) == 1
        assert len(messages()) == 2

    def test_a_claimed_order_waits_for_its_lease(self, relay, order, settings):
        settings.ORDER_KEY_LEASE_S = 60
        now = timezone.now()
        relay.hand_out(now)
        services.claim(order.id)

        assert relay.hand_out(now + timedelta(seconds=30)) == 0
        assert relay.hand_out(now + timedelta(seconds=90)) == 1

    def test_a_released_order_waits_for_its_pause(self, relay, order):
        relay.hand_out(timezone.now())
        services.release(services.claim(order.id))

        assert relay.hand_out(timezone.now()) == 0
        assert relay.hand_out(timezone.now() + timedelta(seconds=2)) == 1

    @pytest.mark.parametrize(
        "fields",
        [{"status": "ACTIVE"}, {"status": "ERROR"}, {"deleted_at": timezone.now()}],
        ids=["active", "error", "deleted"],
    )
    def test_what_is_done_is_not_handed_out(self, relay, order, fields):
        Order.objects.update(**fields)

        assert relay.hand_out(timezone.now()) == 0

    def test_nothing_to_do_is_one_statement(self, mkek, relay, django_assert_num_queries):
        with django_assert_num_queries(1):
            relay.hand_out(timezone.now())


class TestBrokerAway:
    @pytest.fixture
    def cut_off(self):
        """A relay whose broker does not answer."""
        nobody = Celery("cut off", broker=f"amqp://127.0.0.1:{free_ports(1)[0]}//")
        nobody.conf.broker_connection_timeout = 1
        yield Relay(nobody, LIMITS)
        nobody.close()

    def test_orders_are_given_back_and_due_at_once(self, cut_off, relay, order):
        now = timezone.now()

        with pytest.raises((BrokerError, OSError)):
            cut_off.hand_out(now)

        order.refresh_from_db()
        assert order.handed_out_at is None
        assert relay.hand_out(now) == 1

    def test_what_was_confirmed_before_it_went_stays_handed_out(self, relay, place, messages, monkeypatch):
        monkeypatch.setattr("orders_app.relay.MOST_TOGETHER", 1)
        for _ in range(3):
            place()
        send, sent = app.send_task, []

        def send_task(*arguments, **options):
            if len(sent) == 2:
                raise OSError("the broker has gone")
            sent.append(arguments)
            return send(*arguments, **options)

        monkeypatch.setattr(app, "send_task", send_task)
        with pytest.raises(OSError, match="gone"):
            relay.hand_out(timezone.now())

        assert Order.objects.filter(handed_out_at=None).count() == 1
        assert len(messages()) == 2


@pytest.mark.django_db(transaction=True)
class TestTwoRelays:
    def test_each_order_is_handed_out_by_one_of_them(self, place, messages, monkeypatch):
        monkeypatch.setattr("orders_app.relay.MOST_TOGETHER", 1)
        placed = {place().id for _ in range(20)}
        now, start = timezone.now(), threading.Barrier(2)

        def hand_out(relay):
            start.wait()
            try:
                return relay.hand_out(now)
            finally:
                connection.close()

        with ThreadPoolExecutor(2) as threads:
            counts = list(threads.map(hand_out, [Relay(app, LIMITS), Relay(app, LIMITS)]))

        handed_out = [order_id for _, (order_id,) in messages()]
        assert sum(counts) == len(handed_out) == 20
        assert {*handed_out} == placed


@pytest.mark.django_db(transaction=True)
class TestRun:
    @pytest.fixture
    def running(self, settings):
        """Runs a relay in a thread until the test ends."""
        started = []

        def run(relay):
            stop = threading.Event()

            def work():
                try:
                    relay.run(stop)
                finally:
                    connection.close()

            thread = threading.Thread(target=work)
            thread.start()
            started.append((stop, thread))

        yield run
        for stop, thread in started:
            stop.set()
            wakeup.wake_relay()
            thread.join(20)

    def test_placing_an_order_wakes_it(self, place, running):
        running(
            Relay(app, OrderLimits(lease_s=60, key_lease_s=15, handout_s=15, max_attempts=20, poll_s=600))
        )
        wait_until(lambda: Path(django_settings.RELAY_PIPE).exists())

        order = place()

        wait_until(lambda: Order.objects.filter(id=order.id).exclude(handed_out_at=None).exists(), 10)

    def test_a_lost_nudge_costs_time_and_no_order(self, place, running, monkeypatch):
        monkeypatch.setattr(wakeup, "wake_relay", lambda: None)
        running(Relay(app, LIMITS))

        order = place()

        wait_until(lambda: Order.objects.filter(id=order.id).exclude(handed_out_at=None).exists(), 10)
        monkeypatch.undo()

    def test_what_comes_shortly_after_goes_together(self, place, running, monkeypatch):
        monkeypatch.setattr("orders_app.relay.PACE_S", 1.5)
        running(
            Relay(app, OrderLimits(lease_s=60, key_lease_s=15, handout_s=15, max_attempts=20, poll_s=600))
        )
        wait_until(lambda: Path(django_settings.RELAY_PIPE).exists())
        handed_out = Order.objects.exclude(handed_out_at=None)
        first = place()
        wait_until(handed_out.filter(id=first.id).exists, 10)

        others = [place().id for _ in range(3)]

        wait_until(lambda: handed_out.count() == 4, 10)
        assert handed_out.filter(id__in=others).values("handed_out_by").distinct().count() == 1


class TestNudges:
    def test_without_a_relay_a_nudge_is_nothing(self, settings, tmp_path):
        settings.RELAY_PIPE = tmp_path / "nobody"

        wakeup.wake_relay()

    def test_a_pipe_that_is_a_file_is_no_failure_and_keeps_its_bytes(self, settings, tmp_path):
        settings.RELAY_PIPE = tmp_path / "folder"
        settings.RELAY_PIPE.mkdir()

        wakeup.wake_relay()

    def test_more_nudges_than_the_pipe_holds_are_no_failure(self, settings, tmp_path):
        settings.RELAY_PIPE = tmp_path / "pipe"
        nudges = wakeup.Nudges(settings.RELAY_PIPE)

        for _ in range(70_000):  # a pipe holds 65,536
            wakeup.wake_relay()
        nudges.wait(0)
        nudges.close()
