import signal
import threading
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from keepsite.nodes.agent import plight
from keepsite.nodes.agent.agent import NodeAgent
from keepsite.nodes.agent.server import StateServer
from keepsite.nodes.limits import NodeLimits

log = structlog.get_logger(__name__)


class Command(BaseCommand):
    """Tell balancers this node's colour, and follow what operators want of it, until SIGTERM or Ctrl-C."""

    help = "Run this node's agent: one on every node, beside the API or the worker."

    def handle(self, **_: Any) -> None:  # Any: argparse's values
        """Serve the state file on KEEPSITE_NODE_BIND and send heartbeats."""
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        limits = NodeLimits.from_settings()
        server = _server(limits)
        serving = threading.Thread(target=server.serve_forever, name="node-state")
        serving.start()
        log.info("node_agent.started", bind=settings.NODE_BIND, state_file=str(limits.state_path))
        try:
            NodeAgent(limits).run(stop)
        finally:
            server.shutdown()
            serving.join()
            server.server_close()
        log.info("node_agent.stopped")


def _server(limits: NodeLimits) -> StateServer:
    host, _, port = settings.NODE_BIND.rpartition(":")
    try:
        answers = plight.load(Path(settings.NODE_PLIGHT_CONFIG)) if settings.NODE_PLIGHT_CONFIG else None
        return StateServer((host.strip("[]"), int(port)), state_path=limits.state_path, plight=answers)
    except plight.PlightConfigInvalid as error:
        raise CommandError(f"KEEPSITE_NODE_PLIGHT_CONFIG: {error}") from error
    except (OSError, ValueError) as error:
        raise CommandError(f"KEEPSITE_NODE_BIND {settings.NODE_BIND}: {error}") from error
