"""Fixtures all tests share: a real token behind the counting shim, an MKEK, callers of the API."""

import json
import os
from pathlib import Path

import pytest
from django.conf import settings
from django.core import signals
from django.db import close_old_connections

from hsm.member import State
from hsm.provider import hsm
from keepsite.api.totals import TOTALS
from tests.support.callers import Caller
from tests.support.pkcs11_standins import Shim, Token
from tests.support.product import Product
from tests.support.waiting import wait_until

PASSING = {State.DOWN, State.RECOVERING, State.SUSPECT}  # a probe ends these within seconds


@pytest.fixture(scope="session")
def token():
    """The token that the process's HSM uses, in the folder that tests/settings.py names."""
    return Token(settings.STATE_DIR)


@pytest.fixture(scope="session")
def shim(token):
    """Counts and, when told to, fails the PKCS#11 calls of this process."""
    folder = Path(settings.STATE_DIR) / "shim"
    folder.mkdir()
    shim = Shim(folder, token.module)
    os.environ.update(token.environment | shim.environment)
    token.config_file(shim.module)
    return shim


@pytest.fixture(scope="session")
def _generated_mkek(django_db_setup, django_db_blocker, shim):
    from keepsite.identity.operators import command_principal
    from keepsite.keyring import services

    with django_db_blocker.unblock():
        mkek = services.generate_mkek(label="tests-mkek-1", actor=command_principal())
        services.activate_mkek(mkek, actor=command_principal())
    return mkek


@pytest.fixture
def mkek(db, _generated_mkek):
    """The current MKEK; its row is brought back where a test's flush took it away."""
    if not type(_generated_mkek).objects.filter(id=_generated_mkek.id).exists():
        _generated_mkek.save(force_insert=True)
    return _generated_mkek


@pytest.fixture
def api(mkek):
    """A member of project p1, with an API key; ``api.other(...)`` is somebody else."""
    return Caller.make(project="p1", user="u1", roles=["member"])


@pytest.fixture
def one_connection(db):
    """Requests that go through the WSGI application leave the test's transaction open."""
    for signal in (signals.request_started, signals.request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (signals.request_started, signals.request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def audited():
    """The audit records of one action that this test has caused."""

    def lines():
        return [
            json.loads(line)
            for path in sorted(Path(settings.AUDIT_DIR).glob("audit-*.jsonl"))
            for line in path.read_text().splitlines()
        ]

    seen = len(lines())
    return lambda action: [record for record in lines()[seen:] if record["action"] == action]


@pytest.fixture(autouse=True)
def _no_list_is_remembered():
    yield
    TOTALS._counts.clear()  # of projects that the next test makes anew


@pytest.fixture(autouse=True)
def _untroubled_token(request):
    """No fault that one test told the shim of reaches the next."""
    yield
    if "shim" in request.fixturenames:
        request.getfixturevalue("shim").clear()
        for member in hsm()._group.members:
            member._trips.clear()  # three within five minutes make it suspect, in whatever tests they were
        wait_until(lambda: all(member.state not in PASSING for member in hsm().status()))


@pytest.fixture(scope="session")
def broker_url():
    """A real RabbitMQ: the one that the test run started, or one of this session's own."""
    if url := os.environ.get("TESTS_BROKER_URL"):
        yield url
        return
    from tests.support.servers.rabbitmq import RabbitMQ

    with RabbitMQ() as server:
        yield server.url


@pytest.fixture(scope="session")
def new_database_url():
    """Makes addresses of empty databases on the engine that this run is about, for separate processes."""
    server = settings.DATABASES["default"]
    if not server["ENGINE"].endswith("mysql"):
        yield lambda: None  # a product then makes a SQLite file of its own
        return
    import MySQLdb

    from keepsite.ids import new_id

    made = []

    def make():
        name = f"product_{new_id()[:8]}"
        _execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        made.append(name)
        return os.environ["KEEPSITE_DATABASE_URL"].rpartition("/")[0] + f"/{name}"

    def _execute(statement):
        connection = MySQLdb.connect(
            host=server["HOST"], port=int(server["PORT"]), user=server["USER"], password=server["PASSWORD"]
        )
        try:
            connection.cursor().execute(statement)
        finally:
            connection.close()

    yield make
    for name in made:
        _execute(f"DROP DATABASE {name}")


@pytest.fixture(scope="module")
def product(tmp_path_factory, new_database_url):
    """The whole product as processes, on the database engine of this run."""
    folder = tmp_path_factory.mktemp("product") / "state"
    with Product(folder, database_url=new_database_url()).serving() as product:
        yield product
