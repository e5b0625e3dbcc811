"""How many SQL statements a page takes: recorded here, and the same for ten rows and for thousands."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from keepsite.fleet.models import NodeReport
from keepsite.keyring.models import ProjectKEK
from keepsite.nodes.models import Node
from keepsite.projects.models import Project
from keepsite.readonly import detail_url, list_url
from secrets_app.models import Payload, Secret
from tests.console.pages import models
from tests.console.plausible import fill

# Three of each are the session, the operator, and what they must do before anything else.
OVERVIEW, OVERVIEW_AGAIN = 18, 12  # again: the rows were counted lately
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
    "Node": 8,  # the versions of its filter, the open promotion, its steps
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
PROJECTS, SECRETS, NODES = 1_000, 100_000, 50
AT_MOST = 20  # statements, whatever there is


@pytest.fixture
def statements(console):
    """How many statements one GET takes."""

    def count(url):
        with CaptureQueriesContext(connection) as queries:
            assert console.get(url).status_code == 200
        return len(queries)

    return count


def multiply(row, count, **columns):
    """Copies of a row, made in the database; ``columns`` are SQL in which ``i`` counts from 1."""
    names = [field.column for field in row._meta.concrete_fields]
    values = ", ".join(columns.get(name, f'"{name}"') for name in names)
    names = ", ".join(f'"{name}"' for name in names)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {row._meta.db_table} ({names})"
            f" WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
            f" SELECT {values} FROM {row._meta.db_table}, n WHERE {row._meta.pk.column} = %s",
            [row.pk],
        )


@pytest.fixture
def crowd(mkek):
    """1,000 projects with a pKEK each, 100,000 secrets with their payloads, 50 nodes that report."""
    now = timezone.now()
    project = Project.objects.create(id="p0", external_id="p0")
    pkek = ProjectKEK.objects.create(id="k0", project=project, mkek=mkek)
    secret = Secret.objects.create(id="s0", project=project, name="s")
    payload = Payload.objects.create(pkek=pkek, secret=secret, format=1, iv=b"", ciphertext=b"", size_bytes=1)
    node = Node.objects.create(name="n0", version="1", address="-", heartbeat_at=now, colour="green")
    report = NodeReport.objects.create(node="n0", told_at=now, began_at=now - timedelta(hours=1))
    multiply(project, PROJECTS - 1, id="'p' || i", external_id="'p' || i")
    multiply(pkek, PROJECTS - 1, id="'k' || i", project_id="'p' || i")
    multiply(secret, SECRETS - 1, id="'s' || i", project_id=f"'p' || (i % {PROJECTS})")
    multiply(payload, SECRETS - 1, id="'c' || i", secret_id="'s' || i", pkek_id=f"'k' || (i % {PROJECTS})")
    multiply(node, NODES - 1, name="'n' || i")
    multiply(report, NODES - 1, node="'n' || i")


class TestOverview:
    def test_takes_the_recorded_number(self, store, statements):
        assert statements("/admin/") == OVERVIEW

    @pytest.mark.skipif(connection.vendor != "sqlite", reason="the statements are the same elsewhere")
    def test_takes_no_more_with_a_hundred_thousand_secrets(self, crowd, console, statements):
        assert statements("/admin/") == OVERVIEW <= AT_MOST
        assert statements("/admin/live/") == OVERVIEW_AGAIN

        page = console.get("/admin/").context["page"]

        shown = {fact.label: fact.value for part in page.parts for fact in part.facts}
        assert f">{PROJECTS:,}<" in shown["In all"]
        assert f">{PROJECTS:,}<" in shown["Active pKEKs"]
        assert f">{NODES}<" in shown["Green"]
        (mkek,) = next(part for part in page.parts if part.name == "keys").table.rows
        assert f">{SECRETS:,}<" in mkek.cells[-1].value

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
