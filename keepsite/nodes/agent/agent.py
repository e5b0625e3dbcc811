"""The agent of one node: reports, follows the operators' wish, takes a promotion's next step."""

import threading

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

import keepsite
from keepsite.errors import KeepsiteError
from keepsite.nodes import services, state_file
from keepsite.nodes.in_flight import requests_in_flight
from keepsite.nodes.limits import NodeLimits
from keepsite.nodes.promotion import runner
from keepsite.nodes.services import Report, Wish

log = structlog.get_logger(__name__)

SCHEMA_EVERY = 15  # heartbeats between two looks at the migrations


class NodeAgent:
    """Works until told to stop; a database that is away changes nothing on this node."""

    def __init__(self, limits: NodeLimits) -> None:
        self.limits = limits
        self._beats = 0
        self._pending_migrations = 0
        self._is_cut_off = False

    def run(self, stop: threading.Event) -> None:
        """Beat until ``stop`` is set; a fault that nobody foresaw costs one beat, never the agent."""
        while not stop.is_set():
            try:
                self.beat()
            except Exception:
                log.exception("node_agent.beat_failed")
            close_old_connections()
            stop.wait(self.limits.heartbeat.total_seconds())

    def beat(self) -> None:
        """Report once and follow what is wanted; then take a promotion's step if one is due."""
        try:
            wish = services.heartbeat(self._report(), now=timezone.now())
            self._follow(wish)
            runner.advance(self.limits, now=timezone.now())
        except (DatabaseError, KeepsiteError, OSError) as error:
            if not self._is_cut_off:
                log.warning("node_agent.cut_off", error=type(error).__name__, reason=str(error))
            self._is_cut_off = True
            connection.close()
        else:
            if self._is_cut_off:
                log.info("node_agent.back")
            self._is_cut_off = False

    def _follow(self, wish: Wish) -> None:
        path = self.limits.state_path
        before = state_file.read(path)
        # without a file workers take work: a node that is to be none must say so in one
        if wish.state != before or (wish.is_given and not path.exists()):
            state_file.write(path, wish.state)
            log.info("node_agent.state_changed", before=str(before), after=str(wish.state))

    def _report(self) -> Report:
        if self._beats % SCHEMA_EVERY == 0:
            self._pending_migrations = _pending_migrations()
        self._beats += 1
        return Report(
            name=settings.NODE_NAME,
            role=settings.NODE_ROLE,
            version=keepsite.__version__,
            address=settings.NODE_ADDRESS,
            pending_migrations=self._pending_migrations,
            requests_in_flight=_in_flight(),
            state=state_file.read(self.limits.state_path),
        )


def _in_flight() -> int:
    """Requests under way; of a node whose workers are to take no work, those too that have not finished."""
    requests = requests_in_flight(settings.NODE_IN_FLIGHT)
    if state_file.takes_work(settings.NODE_STATE_FILE):
        return requests
    return requests + requests_in_flight(settings.NODE_WORKERS)


def _pending_migrations() -> int:
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
