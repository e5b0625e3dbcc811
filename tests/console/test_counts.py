"""How many SQL statements a page takes: recorded here, and the same for ten rows and for thousands."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from keepsite.readonly import detail_url, list_url
from secrets_app.models import Secret
from tests.console.pages import models
from tests.console.plausible import fill

# Three of each are the session, the operator, and what they must do before anything else.
OVERVIEW = 17  # 11 where the rows were counted lately
LISTS = {
    "Project": 5,
    "ProjectQuota": 5,
    "Secret": 5,
    "Container": 5,
    "ContainerSecret": 5,
    "SecretConsumer": 5,
    "ContainerConsumer": 5,
    "ACL": 5,
    "TransportKey": 5,
    "Order": 7,  # what waits, and dead letters
    "DeadLetter": 5,
    "MKEK": 5,
    "ProjectKEK": 6,  # the choices of its MKEK filter
    "KEKRun": 5,
    "APIKey": 5,
    "User": 6,  # their roles
    "AuditRecord": 6,  # the nodes of its filter
    "AuditChain": 5,
    "ActRequest": 5,
    "Lockout": 5,
    "Node": 7,  # the open promotion, its steps
    "Promotion": 5,
    "Notice": 5,
    "Message": 5,
    "HSMMember": 6,  # what nodes reported
}
DETAILS_AT_MOST = {
    "Project": 11,  # consumers of either kind, pKEKs, API keys, what was done in it and to it
    "ProjectQuota": 4,
    "Secret": 8,  # payload, users of its ACL, containers, consumers
    "Container": 7,  # secrets, users of its ACL, consumers
    "ContainerSecret": 4,
    "SecretConsumer": 4,
    "ContainerConsumer": 4,
    "ACL": 5,
    "TransportKey": 4,
    "Order": 5,
    "DeadLetter": 4,
    "MKEK": 6,  # since when it is in service, pKEKs that need it
    "ProjectKEK": 5,  # the project's generations
    "KEKRun": 5,  # what failed
    "APIKey": 4,
    "User": 5,
    "AuditRecord": 9,  # segment, chain, whether it is sealed, its project, whether its subject exists
    "AuditChain": 7,  # last segment, checkpoints, what the retention removed
    "ActRequest": 4,
    "Lockout": 4,
    "Node": 4,
    "Notice": 4,
    "Message": 4,
    "Promotion": 7,  # steps, nodes, whether anybody is heard
    "HSMMember": 8,  # what nodes reported, for its act too; MKEKs, changes of state
}
MANY = 10_000


@pytest.fixture
def statements(console):
    """How many statements one GET takes."""

    def count(url):
        with CaptureQueriesContext(connection) as queries:
            assert console.get(url).status_code == 200
        return len(queries)

    return count


class TestOverview:
    def test_takes_the_recorded_number(self, store, statements):
        assert statements("/admin/") == OVERVIEW

    def test_asks_no_hsm(self, store, console, shim):
        with shim.counting() as calls:
            console.get("/admin/")

        assert not calls


class TestLists:
    def test_each_takes_the_recorded_number(self, store, statements):
        assert {model.__name__: statements(list_url(model)) for model in models()} == LISTS

    def test_ten_thousand_secrets_take_no_more(self, mkek, statements):
        fill(projects=40, secrets=MANY, orders=10)
        queries = ["", "?q=key", "?state=live&secret_type=symmetric&created=month", "?p=180", "?o=4.1"]

        assert [statements(f"{list_url(Secret)}{query}") for query in queries] == [LISTS["Secret"]] * len(
            queries
        )


class TestDetails:
    def test_each_takes_the_recorded_number_at_most(self, store, statements):
        found = {
            model.__name__: max(
                statements(detail_url(model, pk)) for pk in model.objects.values_list("pk", flat=True)[:30]
            )
            for model in models()
        }

        assert {name for name, count in found.items() if count > DETAILS_AT_MOST[name]} == set(), found
