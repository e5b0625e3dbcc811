import pytest
from django.db import connection

from keepsite.projects.models import Project
from keepsite.projects.services import ensure_project
from secrets_app.models import Secret
from tests.support.callers import Caller


class TestExactCharField:
    @pytest.mark.parametrize("near_miss", ["ABC", "abc ", "äbc"], ids=["case", "blank at the end", "accent"])
    def test_projects_that_only_look_alike_are_two(self, db, near_miss):
        first = ensure_project("abc")

        assert ensure_project(near_miss).id != first.id
        assert Project.objects.get(external_id="abc") == first

    def test_project_does_not_list_the_secrets_of_its_look_alike(self, mkek):
        Caller.make(project="abc").store("hello")

        assert Caller.make(project="ABC").get("/v1/secrets").json() == {"secrets": [], "total": 0}


class TestFoldedCharField:
    def test_case_makes_no_difference_to_equality_search_and_order(self, mkek):
        project = ensure_project("p1")
        Secret.objects.bulk_create(Secret(project=project, name=name) for name in ["b", "A", "C", "a"])

        assert Secret.objects.filter(name="B").count() == 1
        assert Secret.objects.filter(name__like="a%").count() == 2
        assert [
            name.lower() for name in Secret.objects.order_by("name").values_list("name", flat=True)
        ] == list("aabc")


@pytest.mark.skipif(connection.vendor != "sqlite", reason="MariaDB's plans: tests/test_query_plans.py")
class TestPlansOnSQLite:
    @pytest.mark.parametrize("name", ["volume-1", "volume-%"])
    def test_names_are_found_within_their_index(self, db, name):
        rows = Secret.objects.filter(project="p", deleted_at=None, name__like=name).values("id")
        sql, parameters = rows.query.sql_with_params()

        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)
            (*_, step), *_ = cursor.fetchall()

        assert "COVERING INDEX secret_by_name" in step
        assert "name" in step.rpartition("(")[2]
