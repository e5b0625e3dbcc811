"""Nodes of one test: each with a state file and an API of its own; their agents beat on demand."""

import threading
from datetime import timedelta
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from django.core.wsgi import get_wsgi_application
from django.utils import timezone

from keepsite.nodes import services, state_file
from keepsite.nodes.guard import guarded_by_colour
from keepsite.nodes.in_flight import InFlight
from keepsite.nodes.limits import NodeLimits
from keepsite.nodes.services import Report
from keepsite.nodes.states import NodeState


class QuietHandler(WSGIRequestHandler):
    def log_message(self, *_):
        """Say nothing on standard error."""


class Host:
    """One node: what its agent would do, done when a test says so."""

    def __init__(self, folder, name, state):
        self.name, self.path, self.busy, self.version = name, folder / name, 0, "1.0"
        state_file.write(self.path, NodeState.parse(state))
        self.server = make_server(
            "127.0.0.1",
            0,
            guarded_by_colour(get_wsgi_application(), self.path, InFlight(folder / f"{name}-in-flight")),
            handler_class=QuietHandler,
        )
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    @property
    def state(self):
        return str(state_file.read(self.path))

    def beat(self, now=None):
        wish = services.heartbeat(
            Report(
                name=self.name,
                role="api",
                version=self.version,
                address=f"http://127.0.0.1:{self.server.server_port}",
                pending_migrations=0,
                requests_in_flight=self.busy,
                state=state_file.read(self.path),
            ),
            now=now or timezone.now(),
        )
        if wish.state != state_file.read(self.path):
            state_file.write(self.path, wish.state)

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def limits(tmp_path):
    return NodeLimits(
        state_path=tmp_path / "own-state",
        heartbeat=timedelta(seconds=2),
        heard_within=timedelta(seconds=10),
        settle=timedelta(seconds=10),
        drain=timedelta(seconds=60),
        step=timedelta(seconds=30),
        min_green=2,
    )


@pytest.fixture
def hosts(db, tmp_path):
    """Two green nodes and two blue ones, all of which have sent a heartbeat."""
    wanted = {"g1": "green up", "g2": "green up", "b1": "blue up", "b2": "blue up"}
    made = {name: Host(tmp_path, name, state) for name, state in wanted.items()}
    for host in made.values():
        host.beat()
    yield made
    for host in made.values():
        host.close()
