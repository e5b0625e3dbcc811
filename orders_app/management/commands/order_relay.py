import signal
import threading

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand

from keepsite.celery import app
from keepsite.metrics import files
from keepsite.trail.collecting import keep_collecting
from orders_app.limits import OrderLimits
from orders_app.relay import Relay

log = structlog.get_logger(__name__)


class Command(BaseCommand):
    """Bring orders to the workers and audit files to the database, until SIGTERM or Ctrl-C."""

    help = (
        "Hand placed orders to the broker as they come, and collect this node's audit files; run one on"
        " every node."
    )

    requires_system_checks = ()  # they import the metrics library: not before it knows where to write

    def handle(self, **_: object) -> None:
        """Run the relay in this process."""
        files.share(settings.STATE_DIR)
        self.check()
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        from orders_app import metrics  # noqa: PLC0415  # likewise

        log.info("relay.started")
        collecting = threading.Thread(target=keep_collecting, args=(stop,), name="keepsite-audit")
        collecting.start()
        try:
            Relay(app, OrderLimits.from_settings(), report=metrics.tell).run(stop)
        finally:
            stop.set()
            collecting.join()
        log.info("relay.stopped")
