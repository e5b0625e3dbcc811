"""A GET of a fresh order waits for its end: briefly, and not in every thread."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.utils import timezone

from orders_app import waiting
from orders_app.models import Order
from orders_app.tasks import fulfil
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def patient(settings):
    """Waits far longer than any test should take."""
    settings.ORDER_WAIT_S = 60.0


@pytest.fixture
def in_threads():
    """Calls functions in threads of their own that leave no connection behind."""
    with ThreadPoolExecutor(8) as threads:

        def call(function):
            def work():
                try:
                    return function()
                finally:
                    connection.close()

            return threads.submit(work)

        yield call


def waiters():
    return django_settings.ORDER_WAITERS - waiting._places._value


class TestGet:
    def test_it_answers_as_soon_as_the_order_has_ended(self, api, order, patient, in_threads):
        answer = in_threads(lambda: api.get(f"/v1/orders/{order.id}").json())
        wait_until(lambda: waiters() == 1)
        fulfil(order.id)

        assert answer.result(30)["status"] == "ACTIVE"
        assert waiters() == 0

    def test_an_order_that_is_deleted_meanwhile_ends_the_wait(self, api, order, patient, in_threads):
        answer = in_threads(lambda: api.get(f"/v1/orders/{order.id}").json())
        wait_until(lambda: waiters() == 1)
        Order.objects.update(deleted_at=timezone.now())

        assert answer.result(30)["status"] == "PENDING"

    def test_an_older_order_is_shown_at_once(self, api, order, settings, monkeypatch):
        settings.ORDER_WAIT_S = 0.5
        monkeypatch.setattr(waiting.time, "sleep", None)  # whoever waits fails
        Order.objects.update(created_at=timezone.now() - timedelta(seconds=1))

        assert api.get(f"/v1/orders/{order.id}").json()["status"] == "PENDING"

    def test_when_the_wait_is_over_it_is_still_pending(self, api, order, settings):
        settings.ORDER_WAIT_S = 0.05
        Order.objects.update(
            created_at=timezone.now() + timedelta(seconds=1)
        )  # of a node whose clock is ahead

        assert api.get(f"/v1/orders/{order.id}").json()["status"] == "PENDING"

    def test_no_more_wait_than_there_are_places(self, api, order, patient, in_threads):
        places = django_settings.ORDER_WAITERS
        waiting_ones = [in_threads(lambda: api.get(f"/v1/orders/{order.id}")) for _ in range(places)]
        wait_until(lambda: waiters() == places)

        done = threading.Event()
        one_more = in_threads(lambda: (api.get(f"/v1/orders/{order.id}").json(), done.set())[0])

        assert one_more.result(30)["status"] == "PENDING"
        assert done.is_set()
        fulfil(order.id)
        assert {answer.result(30).json()["status"] for answer in waiting_ones} == {"ACTIVE"}
