import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from keepsite.console.navigation import GROUPS
from keepsite.projects.models import Project
from keepsite.readonly import detail_url
from orders_app.models import Order
from secrets_app.models import Container, Secret

STATEMENTS_BESIDES = 3  # session, operator, one-time password


def find(console, wanted):
    return console.get("/admin/search/", {"q": wanted})


class TestSearch:
    @pytest.mark.parametrize(
        ("collection", "model"), [("secrets", Secret), ("containers", Container), ("orders", Order)]
    )
    def test_a_ref_leads_to_its_object(self, store, console, collection, model):
        row = model.objects.first()

        answer = find(console, f"https://keys.example:9311/v1/{collection}/{row.pk}")

        assert answer.url == detail_url(model, row.pk)

    @pytest.mark.parametrize(
        "ref",
        [
            "https://keys.example/v1/secrets/00000000-0000-4000-8000-000000000000",
            "https://keys.example/v1/secrets/",
            "https://keys.example/",
            "https://[broken",
            "javascript:alert(1)",
        ],
    )
    def test_a_ref_to_nothing_says_so(self, store, console, ref):
        assert "Nothing matches" in find(console, ref).content.decode()

    def test_an_id_finds_the_row_and_what_names_it(self, store, console):
        container = Container.objects.filter(places__isnull=False).first()

        kinds = {kind.title for kind in find(console, container.pk).context["page"].kinds}

        assert {"Containers", "Places in containers"} <= kinds

    def test_a_project_finds_what_is_its(self, store, console):
        project = Project.objects.first()

        kinds = {kind.title for kind in find(console, project.external_id).context["page"].kinds}

        assert {"Projects", "Secrets", "Containers", "pKEKs"} <= kinds

    def test_many_hits_lead_to_the_list(self, store, console):
        secrets = next(kind for kind in find(console, "key").context["page"].kinds if kind.title == "Secrets")

        assert len(console.get(secrets.all_url).context["page"].table.rows) > len(secrets.hits)

    @pytest.mark.parametrize("wanted", ["", "x"])
    def test_too_little_is_told(self, store, console, wanted):
        assert "2 characters or more" in find(console, wanted).content.decode()

    def test_takes_one_statement_per_kind_at_most(self, store, console):
        kinds = sum(len(group) for _, group in GROUPS)

        with CaptureQueriesContext(connection) as queries:
            find(console, "key")

        assert len(queries) <= kinds + STATEMENTS_BESIDES + 1  # roles of the operators found

    def test_shows_nothing_of_kinds_its_reader_may_not_see(self, store, console_of):
        answer = find(console_of("viewer"), "olga")

        assert not answer.context["page"].kinds

    def test_markup_stays_text(self, store, console):
        assert "<script>alert" not in find(console, "<script>alert(1)</script>").content.decode()
