"""Orders over a real RabbitMQ: confirmed, on a quorum queue, finished by a worker."""

import json
import time
import urllib.request
from types import SimpleNamespace

import pytest
from amqp.exceptions import MessageNacked
from celery import Celery
from django.conf import settings as django_settings
from django.core.management import call_command
from django.utils import timezone
from kombu import Connection, Exchange, Message, Queue
from kombu.exceptions import OperationalError as BrokerError

from keepsite.identity.operators import command_principal
from orders_app import dead_letters
from orders_app.consumer import MessageGate
from orders_app.limits import OrderLimits
from orders_app.models import DeadLetter, Order
from orders_app.relay import Relay
from orders_app.tasks import FULFIL
from tests.support.product import Product
from tests.support.product_rows import ProductRows
from tests.support.servers.rabbitmq_definitions import DEPLOYED
from tests.support.waiting import wait_until

pytestmark = pytest.mark.broker

POLICIES = json.loads((DEPLOYED / "policies.json").read_text())["policies"]
DELIVERY_LIMIT = next(
    one["definition"]["delivery-limit"] for one in POLICIES if one["name"] == "keepsite-orders"
)
LIMITS = OrderLimits(lease_s=60, key_lease_s=15, handout_s=15, max_attempts=20, poll_s=0.1)


@pytest.fixture
def celery_app(broker_url):
    """The product's Celery application, but at RabbitMQ."""
    app = Celery("keepsite on RabbitMQ", set_as_current=False)
    app.config_from_object("django.conf:settings", namespace="CELERY")
    app.conf.update(broker_url=broker_url, broker_transport_options={"confirm_publish": True})
    with app.connection_for_write() as broker:
        app.amqp.queues["keepsite.orders"](broker.default_channel).declare()
        app.amqp.queues["keepsite.orders"](broker.default_channel).purge()
    yield app
    with app.connection_for_write() as broker:
        app.amqp.queues["keepsite.orders"](broker.default_channel).purge()
    app.close()


class TestHandOut:
    def test_a_confirmed_order_lies_in_the_queue(self, celery_app, order):
        assert Relay(celery_app, LIMITS).hand_out(timezone.now()) == 1

        with celery_app.connection_for_read() as broker:
            queue = broker.SimpleQueue(celery_app.amqp.queues["keepsite.orders"])
            message = queue.get(timeout=10)
            message.ack()
            queue.close()
        assert message.payload[0] == [order.id]
        assert message.delivery_info["routing_key"] == "keepsite.orders"

    def test_the_queue_is_a_quorum_queue(self, celery_app, broker_url):
        with Connection(broker_url) as broker, pytest.raises(Exception, match="x-queue-type"):
            broker.default_channel.queue_declare(
                "keepsite.orders", durable=True, auto_delete=False, arguments={"x-queue-type": "classic"}
            )


class TestDeliveryLimit:
    def test_rabbitmq_gives_up_and_operators_find_the_message(self, celery_app, order, capsys):
        with celery_app.connection_for_write() as broker:
            for queue in (*celery_app.conf.task_queues, django_settings.DEAD_LETTER_QUEUE):
                bound = queue(broker.default_channel)
                bound.declare()
                bound.purge()
        Relay(celery_app, LIMITS).hand_out(timezone.now())

        assert rejected(celery_app) == DELIVERY_LIMIT + 1

        wait_until(lambda: dead_letters.collect(celery_app), 30)
        letter = DeadLetter.objects.get()
        assert (letter.order_id, letter.task) == (order.id, FULFIL)
        call_command("dead_letters", "list")
        told = capsys.readouterr().out
        assert letter.id in told
        assert "delivery_limit" in told
        assert dead_letters.is_replayable(letter)


class TestFull:
    """Queues with room for one: what the broker refuses is lost nowhere."""

    @pytest.fixture
    def full(self, celery_app):
        """Makes a full queue of the deployed kind; it goes with the test."""
        name = "keepsite.full"
        queue = Queue(
            name,
            Exchange(name, "topic"),
            routing_key=name,
            queue_arguments={"x-queue-type": "quorum", "x-overflow": "reject-publish", "x-max-length": 1},
        )
        with celery_app.connection_for_write() as broker, celery_app.producer_or_acquire() as producer:
            queue(broker.default_channel).declare()
            with pytest.raises(MessageNacked):
                fill(producer, queue)
            yield queue
            queue(broker.default_channel).delete()

    def test_an_order_stays_in_its_row_and_is_due_again(self, celery_app, full, order, monkeypatch):
        with monkeypatch.context() as patched:
            patched.setitem(celery_app.amqp.queues, "keepsite.orders", full)
            with pytest.raises(BrokerError):
                Relay(celery_app, LIMITS).hand_out(timezone.now())

        assert Order.objects.due(timezone.now(), handed_out_before=timezone.now()).get() == order

    def test_a_foreign_message_stays_in_the_queue_of_orders(self, celery_app, full, settings):
        settings.DEAD_LETTER_QUEUE = full
        (orders,) = celery_app.conf.task_queues
        with celery_app.producer_or_acquire() as producer:
            producer.publish(b"foreign", exchange=orders.exchange, routing_key=orders.routing_key)
        with celery_app.connection_for_read() as broker:
            waiting = orders(broker.default_channel)
            gate = SimpleNamespace(app=celery_app, connection_errors=broker.connection_errors)
            message = wait_until(lambda: waiting.get(no_ack=False))

            MessageGate._put_aside(gate, message, "It is foreign.")

            again = wait_until(lambda: waiting.get(no_ack=False))
            assert again.body == message.body
            again.ack()

    def test_the_database_takes_no_more_than_operators_settle(self, celery_app, order, settings, monkeypatch):
        monkeypatch.setattr(dead_letters, "MOST_KEPT", 1)
        dead = settings.DEAD_LETTER_QUEUE
        with celery_app.connection_for_write() as broker, celery_app.producer_or_acquire() as producer:
            dead(broker.default_channel).declare()
            dead(broker.default_channel).purge()
            producer.publish(b"x", exchange=dead.exchange, routing_key=dead.routing_key, confirm_timeout=5)
            first = dead_letters.keep(Message(body=b"first", headers={}, properties={}))

            assert dead_letters.collect(celery_app) == 0

            assert dead(broker.default_channel).queue_declare(passive=True).message_count == 1
            dead_letters.discard(first.id, actor=command_principal(), reason="tests")
            assert dead_letters.collect(celery_app) == 1


def fill(producer, queue):
    """A quorum queue refuses some messages late."""
    for _ in range(100):
        producer.publish(b"x", exchange=queue.exchange, routing_key=queue.routing_key, confirm_timeout=5)


def rejected(app):
    """How often a worker can refuse the one message in the queue of orders."""
    (queue,) = app.conf.task_queues
    with app.connection_for_read() as broker:
        waiting = queue(broker.default_channel)
        count = 0
        while count <= 2 * DELIVERY_LIMIT and (message := waiting.get(no_ack=False)) is not None:
            message.reject(requeue=True)
            count += 1
    return count


@pytest.fixture(scope="module")
def product_on_rabbitmq(tmp_path_factory, new_database_url, broker_url):
    folder = tmp_path_factory.mktemp("rabbitmq") / "state"
    product = Product(
        folder,
        database_url=new_database_url(),
        broker_url=broker_url,
        KEEPSITE_ORDER_LEASE_S="4",
        KEEPSITE_ORDER_HANDOUT_S="2",
        KEEPSITE_RELAY_POLL_S="0.2",
    ).setup()
    try:
        yield product.start()
    finally:
        product.stop()


def call(product, method, path, body=None):
    request = urllib.request.Request(
        product.url + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"X-Auth-Token": product.key, "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def place(product):
    body = {"type": "key", "meta": {"algorithm": "aes", "bit_length": 256}}
    return call(product, "POST", "/v1/orders", body)["order_ref"].removeprefix(product.url)


@pytest.mark.processes
class TestWholeProduct:
    def test_an_order_becomes_active_soon(self, product_on_rabbitmq):
        path = place(product_on_rabbitmq)
        started = time.monotonic()

        wait_until(lambda: call(product_on_rabbitmq, "GET", path)["status"] == "ACTIVE")

        assert time.monotonic() - started < 10

    def test_what_the_broker_lost_is_handed_out_again(self, product_on_rabbitmq, celery_app):
        rows = ProductRows(product_on_rabbitmq)
        product_on_rabbitmq.kill("worker")
        paths = [place(product_on_rabbitmq) for _ in range(3)]
        with celery_app.connection_for_write() as broker:
            queue = celery_app.amqp.queues["keepsite.orders"](broker.default_channel)
            handed_out = "status = 'PENDING' AND handed_out_at IS NOT NULL"
            wait_until(lambda: rows.count("orders_app_order", handed_out) == 3)
            wait_until(lambda: queue.queue_declare(passive=True).message_count >= 1)
            queue.purge()
        product_on_rabbitmq.start("worker")

        for path in paths:
            wait_until(lambda path=path: call(product_on_rabbitmq, "GET", path)["status"] == "ACTIVE")

        assert call(product_on_rabbitmq, "GET", "/v1/secrets?limit=1")["total"] >= 3
