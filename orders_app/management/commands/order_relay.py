import signal
import threading

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand

from keepsite.celery import app
from keepsite.metrics import files
from orders_app.limits import OrderLimits
from orders_app.relay import Relay

log = structlog.get_logger(__name__)


class Command(BaseCommand):
    """Bring placed orders to the workers, until told to stop by SIGTERM or Ctrl-C."""

    help = "Hand placed orders to the broker as they come; run at least one, on every API node for speed."

    def handle(self, **_: object) -> None:
        """Run the relay in this process."""
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        files.share(settings.STATE_DIR)  # before anything imports the metrics library
        from orders_app import metrics  # noqa: PLC0415

        log.info("relay.started")
        Relay(app, OrderLimits.from_settings(), report=metrics.tell).run(stop)
        log.info("relay.stopped")
