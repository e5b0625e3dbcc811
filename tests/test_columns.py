import pytest

from keepsite.projects.models import Project
from keepsite.projects.services import ensure_project
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
