"""What MariaDB's optimiser does with the statements that must stay quick; docs/operators/database.md.

A few thousand rows are enough for it to choose as it does with many.
"""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from keepsite.api import paging, totals
from keepsite.ids import new_id
from keepsite.projects.models import Project
from orders_app.models import Order
from orders_app.recovery import what_to_purge
from secrets_app.choices import ContainerType
from secrets_app.models import Container, Secret
from secrets_app.services import purging

pytestmark = pytest.mark.skipif(connection.vendor != "mysql", reason="about MariaDB's optimiser")

NEIGHBOURS = 19
ROWS, ROWS_OF_NEIGHBOUR = 3_000, 100
TABLES = {Secret: "secrets_app_secret", Container: "secrets_app_container", Order: "orders_app_order"}


@pytest.fixture(scope="module")
def _crowd(django_db_setup, django_db_blocker):
    """Twenty projects with secrets, containers and orders, p1 with most of them."""
    now = timezone.now()
    with django_db_blocker.unblock():
        projects = [Project(external_id=f"p{number}") for number in range(1, NEIGHBOURS + 2)]
        Project.objects.bulk_create(projects)
        for model in TABLES:
            model.objects.bulk_create(
                _row(model, project, number, now)
                for project in projects
                for number in range(ROWS if project.external_id == "p1" else ROWS_OF_NEIGHBOUR)
            )
        with connection.cursor() as cursor:
            cursor.execute(f"ANALYZE TABLE {', '.join(TABLES.values())}")
            cursor.fetchall()
        yield
        for model in (*TABLES, Project):
            model.objects.all()._raw_delete("default")


def _row(model, project, number, now):
    made = now - timedelta(hours=number + 1)
    row = model(id=new_id(), project=project, created_at=made, updated_at=made)
    row.deleted_at = now - timedelta(days=number % 60) if number % 20 == 0 else None
    if model is Order:
        row.type = Order.Type.KEY
        row.meta = {"name": None, "algorithm": "aes", "bit_length": 256, "expiration": None}
        row.status = Order.Status.PENDING if number % 50 == 1 else Order.Status.ACTIVE
        row.not_before = made
        return row
    row.name = f"name-{number}"
    if model is Container:
        row.type = ContainerType.GENERIC
    if model is Secret:
        row.expires_at = now + timedelta(hours=number - 100) if number % 3 == 0 else None
    return row


@pytest.fixture
def member(_crowd, api):
    """A member of p1."""
    totals.TOTALS._counts.clear()
    yield api
    totals.TOTALS._counts.clear()


def plans(act):
    """What the optimiser does in each of our tables, for every statement that ``act`` runs on them."""
    with CaptureQueriesContext(connection) as queries:
        act()
    statements = [
        query["sql"] for query in queries.captured_queries if any(t in query["sql"] for t in TABLES.values())
    ]
    assert statements
    return [plan for statement in statements for plan in plans_of(statement)]


def plans_of(statement, parameters=None):
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {statement}", parameters)
        names = [column[0] for column in cursor.description]
        steps = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    ours = ("secrets_app", "orders_app", "U0")
    return [step for step in steps if step["table"] and step["table"].startswith(ours)]


def used(found):
    return [step["key"] for step in found]


def is_within_an_index(step):
    return "Using index" in (step["Extra"] or "").split("; ")


def walks_or_sorts(step):
    return step["type"] in {"ALL", "index"} or "filesort" in (step["Extra"] or "")


class TestLists:
    @pytest.mark.parametrize(
        ("query", "counts_by", "shows_by"),
        [
            ("secrets", "secret_list", "secret_list"),
            ("secrets?limit=100", "secret_list", "secret_list"),
            ("secrets?sort=created:desc", "secret_list", "secret_list"),
            ("secrets?sort=name", "secret_list", "secret_by_name"),
            ("secrets?sort=name:desc", "secret_list", "secret_by_name"),
            ("secrets?sort=expiration", "secret_list", "secret_by_expiry"),
            ("secrets?name=name-77", "secret_by_name", "secret_by_name"),
            ("secrets?name=name-77&sort=created:desc", "secret_by_name", "secret_by_name"),
            ("containers", "container_of_project", "container_of_project"),
            ("containers?name=name-77", "container_by_name", "container_by_name"),
            ("orders", "order_of_project", "order_of_project"),
        ],
    )
    def test_counting_reads_an_index_alone_and_showing_neither_walks_nor_sorts(
        self, member, query, counts_by, shows_by
    ):
        counting, showing = plans(lambda: member.get(f"/v1/{query}"))[:2]

        assert counting["key"] == counts_by
        assert is_within_an_index(counting)
        assert showing["key"] == shows_by
        assert not walks_or_sorts(counting)
        assert not walks_or_sorts(showing)

    def test_a_prefix_is_counted_within_the_index_of_names(self, member):
        counting = plans(lambda: member.get("/v1/secrets?name=name-7%25"))[0]

        assert (counting["key"], counting["type"]) == ("secret_by_name", "range")
        assert is_within_an_index(counting)

    def test_far_from_the_start_rows_are_skipped_within_the_index(self, member, monkeypatch):
        monkeypatch.setattr(paging, "DEEP_OFFSET", 1)

        _, *showing = plans(lambda: member.get("/v1/secrets?offset=2500"))

        by_key = {step["key"]: step for step in showing}
        assert set(by_key) == {"secret_list", "PRIMARY"}
        assert is_within_an_index(by_key["secret_list"])
        assert by_key["PRIMARY"]["type"] == "eq_ref"

    def test_what_changed_since_a_count_is_read_by_short_ranges(self, member, monkeypatch):
        monkeypatch.setattr(totals, "LONG", 1)
        for _ in range(2):
            member.get("/v1/secrets")

        *changes, _ = plans(lambda: member.get("/v1/secrets"))

        assert used(changes) == ["secret_list", "secret_by_expiry", "secret_list"]
        assert all(is_within_an_index(step) and step["type"] == "range" for step in changes)
        assert all(int(step["rows"]) < ROWS / 10 for step in changes)


@pytest.mark.usefixtures("_crowd", "db")
class TestProcesses:
    def test_the_relay_finds_what_is_due_by_the_outbox(self):
        now = timezone.now()
        due = (
            Order.objects.due(now, handed_out_before=now).order_by("not_before", "id").values_list("id")[:100]
        )

        (step,) = plans_of(*due.query.sql_with_params())

        assert step["key"] == "order_outbox"
        assert not walks_or_sorts(step)

    def test_a_purge_walks_each_table_once_by_its_primary_key(self):
        for kind in what_to_purge(older_than_days=30).kinds[:3]:
            walk = plans(
                lambda kind=kind: purging._page(kind, kind.due.filter(pk__gt="8"), batch_rows=1_000)
            )[0]

            assert walk["key"] == "PRIMARY"
            assert "filesort" not in (walk["Extra"] or "")
