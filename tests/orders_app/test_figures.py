import json
import socket
import threading
from datetime import timedelta

import pytest
from celery import Celery
from django.conf import settings
from django.core.management import call_command
from django.utils import timezone

from keepsite.env import broker_folders
from orders_app import services
from orders_app.figures import ASKING, RecentDepths, order_figures, queue_depths, waiting_figures
from orders_app.models import Order
from orders_app.tasks import fulfil
from tests.support.servers.ports import free_ports


class TestFigures:
    def test_orders_are_counted_by_state_age_and_project(self, api, place):
        fulfil(place().id)
        services.fail(*services.claim(place().id), reason="because")
        old = place(api.other(project="p2"))
        Order.objects.filter(id=old.id).update(created_at=timezone.now() - timedelta(minutes=5))
        place()

        figures = order_figures()

        assert figures.by_state == {"PENDING": 2, "ACTIVE": 1, "ERROR": 1}
        assert {age: count for age, count in figures.waiting_by_age.items() if count} == {
            "under 10 s": 1,
            "1 to 10 min": 1,
        }
        assert figures.waiting_by_project == {"p1": 1, "p2": 1}
        assert 299 < figures.waiting.oldest_s < 330

    def test_orders_given_back_say_why(self, place):
        services.release(services.claim(place().id), fault="The key store is unavailable.")
        services.claim(place().id)

        figures = order_figures()

        assert figures.faults == {"The key store is unavailable.": 1}
        waiting = figures.waiting
        assert (waiting.waiting, waiting.at_work, waiting.paused, waiting.retried) == (2, 1, 1, 1)

    def test_nothing_is_all_zeros(self, mkek):
        figures = waiting_figures()

        assert (figures.waiting, figures.oldest_s, figures.dead_letters) == (0, 0.0, 0)

    def test_what_waits_is_two_statements(self, order, django_assert_num_queries):
        with django_assert_num_queries(2):
            waiting_figures()

    def test_a_broker_that_is_away_is_no_failure(self):
        nobody = Celery("nobody", broker=f"amqp://127.0.0.1:{free_ports(1)[0]}//", set_as_current=False)

        assert queue_depths(nobody) is None
        nobody.close()

    def test_a_page_does_not_wait_for_a_silent_broker(self):
        depths = RecentDepths()
        with socket.create_server(("127.0.0.1", 0)) as silent:
            nobody = Celery(
                "silent", broker="amqp://{}:{}//".format(*silent.getsockname()), set_as_current=False
            )

            assert depths.get(nobody) is None
            (asking,) = [thread for thread in threading.enumerate() if thread.name == ASKING]
            assert depths.get(nobody) is None  # and nobody asks a second time
            assert [thread for thread in threading.enumerate() if thread.name == ASKING] == [asking]
            asking.join()

        assert depths.get(nobody) is None
        nobody.close()


class TestCommand:
    @pytest.mark.parametrize("options", [(), ("--json",)])
    def test_orders_status(self, order, options, capsys):
        for folder in broker_folders(settings.CELERY_BROKER_TRANSPORT_OPTIONS):
            folder.mkdir(parents=True, exist_ok=True)
        call_command("orders_status", *options)

        out = capsys.readouterr().out
        if options:
            assert json.loads(out)["by_state"] == {"PENDING": 1, "ACTIVE": 0, "ERROR": 0}
            assert {*json.loads(out)["queues"]} == {"keepsite.orders", "keepsite.dead"}
        else:
            assert "PENDING" in out
            assert "oldest that waits" in out
