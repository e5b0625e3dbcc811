"""SQL statements and PKCS#11 calls per request, recorded in ``call_counts.json``: a change shows in review.

Record anew, once per database engine, with ``RECORD_CALL_COUNTS=1 pytest tests/test_call_counts.py``.
The budgets of the design (section 5) hold whatever is recorded.
"""

import json
import os
import re
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from hsm.provider import hsm
from keepsite.identity.operators import command_principal
from keepsite.ids import new_id
from keepsite.keyring import mkeks
from keepsite.keyring.generations import next_generation
from keepsite.keyring.models import ProjectKEK
from keepsite.keyring.rotation.reencrypt import Reencrypt
from keepsite.keyring.rotation.rewrap import Rewrap
from keepsite.keyring.rotation.scope import Scope
from orders_app.models import Order
from orders_app.tasks import fulfil
from secrets_app.models import Secret

pytestmark = pytest.mark.django_db(transaction=True)  # so that BEGIN and COMMIT are the real ones

FILE = Path(__file__).parent / "call_counts.json"
RECORDING = bool(os.environ.get("RECORD_CALL_COUNTS"))
TEXT = {"payload": "x", "payload_content_type": "text/plain"}
KEY_ORDER = {"type": "key", "meta": {"algorithm": "aes", "bit_length": 256}}
USAGE = {"service": "s", "resource_type": "t", "resource_id": "i"}


def get_payload(api):
    path = api.store("x")
    return lambda: api.get(f"{path}/payload")


def post_secret(api):
    return lambda: api.post("/v1/secrets", TEXT)


def post_empty_secret(api):
    return lambda: api.post("/v1/secrets", {})


def post_keyed_secret(api):
    return lambda: api.post("/v1/secrets", TEXT, Idempotency_Key="a")


def repeat_keyed_secret(api):
    api.post("/v1/secrets", TEXT, Idempotency_Key="a")
    return lambda: api.post("/v1/secrets", TEXT, Idempotency_Key="a")


def put_payload(api):
    path = api.store()
    return lambda: api.put(path, b"x")


def get_metadata(api):
    path = api.store("x")
    return lambda: api.get(path)


def delete_secret(api):
    path = api.store("x")
    return lambda: api.delete(path)


def list_of(count):
    def arrange(api):
        Secret.objects.all().delete()
        api.store("x")
        row = Secret.objects.values().get()
        Secret.objects.bulk_create(
            Secret(**row | {"id": f"{number:08}-0000-4000-8000-000000000000"}) for number in range(count)
        )
        return lambda: api.get(f"/v1/secrets?limit={count}")

    return arrange


def post_order(api):
    return lambda: api.post("/v1/orders", KEY_ORDER)


def get_order(api):
    api.post("/v1/orders", KEY_ORDER)
    order = Order.objects.get()
    return lambda: api.get(f"/v1/orders/{order.id}")


def fulfil_order(api):
    api.post("/v1/orders", KEY_ORDER)
    order = Order.objects.get()
    return lambda: fulfil(order.id)


def first_store(api):
    other = api.other(project="seen for the first time")
    return lambda: other.post("/v1/secrets", TEXT)


def get_consumers(api):
    path = api.store("x")
    api.post(f"{path}/consumers", USAGE)
    return lambda: api.get(f"{path}/consumers")


def post_consumer(api):
    path = api.store("x")
    return lambda: api.post(f"{path}/consumers", USAGE)


def rewrap_pkek(api):
    api.other(project="warms the new MKEK").store("x")
    api.store("x")
    made = mkeks.generate_mkek(label=f"counted-{new_id()}", actor=command_principal())
    mkeks.activate_mkek(made, actor=command_principal())
    warming, work = (Rewrap(Scope(project=project)) for project in ("warms the new MKEK", "p1"))
    warming.move(next(pages_of(warming)))
    page = next(pages_of(work))
    return lambda: work.move(page)


def seal_payload_anew(api):
    api.store("x")
    assert next_generation(ProjectKEK.objects.select_related("project").get(active_marker=True))
    api.store("warms the new key")
    work = Reencrypt(Scope(), actor=command_principal())
    page = next(pages_of(work))
    return lambda: work.move(page)


def pages_of(work):
    return (page for page in work.pages(10) if page)


def in_format_2(arrange):
    def act(api):
        object.__setattr__(hsm().config, "data_key_above_bytes", 0)
        return arrange(api)

    return act


def refused(api):
    return lambda: api.get("/v1/secrets", X_Auth_Token="wrong")


REQUESTS = {
    "GET payload": get_payload,
    "POST secret with payload": post_secret,
    "POST secret without payload": post_empty_secret,
    "POST secret with payload and key": post_keyed_secret,
    "POST secret with payload and key, repeated": repeat_keyed_secret,
    "PUT payload": put_payload,
    "GET metadata": get_metadata,
    "DELETE secret": delete_secret,
    "list of 1": list_of(1),
    "list of 10": list_of(10),
    "list of 100": list_of(100),
    "POST order": post_order,
    "GET order": get_order,
    "fulfil order": fulfil_order,
    "first store of a project": first_store,
    "MKEK rewrap of a pKEK": rewrap_pkek,
    "sealing a payload anew": seal_payload_anew,
    "GET payload of format 2": in_format_2(get_payload),
    "POST secret with payload of format 2": in_format_2(post_secret),
    "GET consumers": get_consumers,
    "POST consumer": post_consumer,
    "401": refused,
}
# PKCS#11 calls and SQL statements at most: the table of the design, in local mode. None: no budget.
BUDGETS = {
    "GET payload": (2, 2),
    "POST secret with payload": (2, 6),
    "POST secret with payload and key": (2, 8),
    "POST secret with payload and key, repeated": (0, 2),
    "GET metadata": (0, 2),
    "list of 1": (0, 3),
    "list of 10": (0, 3),
    "list of 100": (0, 3),
    "DELETE secret": (0, None),
    "POST order": (0, None),
    "fulfil order": (3, None),
    "first store of a project": (8, None),
    "MKEK rewrap of a pKEK": (7, None),
    "sealing a payload anew": (4, None),
    "GET payload of format 2": (2, 2),
    "POST secret with payload of format 2": (2, 6),
    "401": (0, 0),
}


def short(sql):
    """A statement as review wants to read it: verb and table."""
    verb = sql.split(None, 1)[0]
    while (outer := re.sub(r"\([^()]*\)", "", sql)) != sql:  # what stands in brackets is a subquery or a list
        sql = outer
    tables = re.findall(r"(?:FROM|INTO|UPDATE)\s+[`\"](\w+)[`\"]", sql)
    return f"{verb} {tables[0]}" if tables else sql


@pytest.fixture(autouse=True)
def _payloads_in_one_call(mkek):
    """What a test of format 2 has chosen ends with it."""
    yield
    object.__setattr__(hsm().config, "data_key_above_bytes", None)


@pytest.fixture
def measured(api, shim):
    """Calls of one request on a warm process, by the name of the request."""
    api.store("warms the key's handle")
    Secret.objects.all().delete()

    def measure(name):
        act = REQUESTS[name](api)
        with CaptureQueriesContext(connection) as queries, shim.counting() as calls:
            act()
        return {
            "pkcs11": dict(sorted(calls.items())),
            "sql": [short(query["sql"]) for query in queries.captured_queries],
        }

    return measure


def recorded():
    return json.loads(FILE.read_text()) if FILE.exists() else {}


def record(name, found):
    everything = recorded()
    entry = everything.setdefault(name, {"sql": {}})
    entry["pkcs11"] = found["pkcs11"]
    entry["sql"][connection.vendor] = found["sql"]
    FILE.write_text(json.dumps(everything, indent=2, sort_keys=True) + "\n")


@pytest.mark.parametrize("name", REQUESTS)
class TestCallCounts:
    def test_a_request_makes_the_recorded_calls(self, measured, name):
        found = measured(name)

        if RECORDING:
            record(name, found)
        expected = recorded().get(name, {"pkcs11": "not recorded", "sql": {}})
        assert found["pkcs11"] == expected["pkcs11"]
        assert found["sql"] == expected["sql"].get(connection.vendor, "not recorded: RECORD_CALL_COUNTS=1")

    def test_its_budget_holds(self, measured, name):
        pkcs11, statements = BUDGETS.get(name, (None, None))

        found = measured(name)

        assert pkcs11 is None or sum(found["pkcs11"].values()) <= pkcs11, found["pkcs11"]
        assert statements is None or len(found["sql"]) <= statements, found["sql"]


class TestLists:
    def test_statements_do_not_depend_on_the_size_of_the_page(self, measured):
        one, hundred = measured("list of 1"), measured("list of 100")

        assert len(one["sql"]) == len(hundred["sql"])

    def test_with_consumers_there_is_one_statement_more_whatever_the_page(self, api, measured):
        paths = [api.store("x") for _ in range(5)]
        for path in paths:
            api.post(f"{path}/consumers", USAGE)

        with CaptureQueriesContext(connection) as queries:
            shown = api.get("/v1/secrets").json()["secrets"]

        assert sum(len(secret["consumers"]) for secret in shown) == 5
        assert len(queries) <= 4
