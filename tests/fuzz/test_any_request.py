"""Whatever is sent: never a failure of ours, a refusal that explains itself, and nothing written by one.

The same with many more requests and a real server: ``make fuzz``.
"""

from dataclasses import replace

import pytest
from django.core.wsgi import get_wsgi_application
from django.db import connection
from hypothesis import strategies as st

from keepsite.identity.gate import guarded
from keepsite.wsgi import application
from tests.fuzz import headers
from tests.fuzz.calls import InProcess
from tests.fuzz.checking import Checking
from tests.fuzz.routes import ROUTES
from tests.fuzz.rows import Rows
from tests.fuzz.world import World

REQUESTS = 12  # of each route; the same in every run
ON_THE_COLLECTION = [route for route in ROUTES if str(route) in {"GET /v1/secrets", "POST /v1/secrets"}]
PROJECT = (b"X-Project-Id", b"p1")


@pytest.fixture
def checking(api, one_connection):
    send = InProcess(application)
    tokens = {
        "member": api.key,
        "admin": api.other(project="service", user="root", roles=["admin"]).key,
        "reader": api.other(roles=["reader"]).key,
        "stranger": api.other(project="p2").key,
    }
    world = World(send, tokens)
    for token in tokens:  # a project's first request makes its row, and its first secret its key
        world.ask("GET", "/v1/quotas", token=token)
    body = {"payload": "x", "payload_content_type": "text/plain"}
    assert world.ask("POST", "/v1/secrets", body).status == 201
    return Checking(world, send, Rows(connection))


class TestAnyRequest:
    @pytest.mark.parametrize("route", ROUTES, ids=str)
    def test_is_answered_as_the_contract_says(self, checking, route):
        checking.examine(route, route.calls(malformed=False), requests=REQUESTS)


class TestAnyIdentity:
    """In noauth mode the caller's headers are the identity: any project, any user, any roles."""

    @pytest.fixture
    def checking(self, mkek, one_connection, settings):
        settings.AUTH = "noauth"
        send = InProcess(guarded(get_wsgi_application()))
        world = World(lambda call: send(replace(call, headers=(*call.headers, PROJECT))), {"member": ""})
        return Checking(world, send, Rows(connection))

    @pytest.mark.parametrize("route", ON_THE_COLLECTION, ids=str)
    def test_is_answered_as_the_contract_says(self, checking, route):
        calls = st.builds(
            lambda call, identity: replace(call, headers=(*call.headers, *identity)),
            route.calls(malformed=False),
            st.lists(headers.IDENTITY, min_size=1, max_size=3),
        )

        checking.examine(replace(route, check=lambda *_: None), calls, requests=60)


class TestTheRoutes:
    """The table itself: a route that nobody added to it would go untested."""

    def test_hold_every_route_and_method(self):
        from tests.house.test_documented import routes

        known = {(route.method, _shape(route.path)) for route in ROUTES}
        missing = {
            (method, path)
            for method, path in routes()
            if method != "HEAD" and (method, _shape(path)) not in known
        }

        assert missing == set()


def _shape(path):
    """``/v1/secrets/*/acl`` of both spellings of a path."""
    names = ("note", "fresh", "5d4f0c5e-2f4b-4b1e-9a51-0a8f3c1d2e3f")
    parts = path.strip("/").split("/")
    return "/".join("*" if part[:1] in "{@" or part in names else part for part in parts)
