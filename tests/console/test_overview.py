from datetime import timedelta

import pytest
from django.contrib import admin
from django.utils import timezone

from keepsite.console.pages.overview import overview
from keepsite.identity.models import APIKey
from keepsite.keyring.models import MKEK
from keepsite.projects.models import Project
from keepsite.trail.models import AuditChain
from orders_app.models import Order
from secrets_app.models import Secret


@pytest.fixture
def project(mkek):
    return Project.objects.create(external_id="p-of-orders")


def place(project, *, age, **fields):
    moment = timezone.now() - age
    return Order.objects.create(
        project=project, type="key", meta={"algorithm": "aes"}, created_at=moment, updated_at=moment, **fields
    )


def page():
    return overview(admin.site, now=timezone.now())


class TestNumbers:
    def test_each_is_the_length_of_the_list_it_leads_to(self, store, console):
        figures = [figure for card in page().cards for figure in (card.total, *card.parts)]

        found = {figure.url: console.get(figure.url).context["cl"].result_count for figure in figures}

        assert found == {figure.url: int(figure.number) for figure in figures}
        assert len(figures) > 20

    def test_newest_failures_come_first(self, project):
        older = place(project, age=timedelta(days=3), status="ERROR", error_reason="first")
        newer = place(project, age=timedelta(days=2), status="ERROR", error_reason="second")

        assert [row.url.split("/")[-2] for row in page().failures.rows] == [newer.id, older.id]


class TestHealth:
    def test_nothing_wrong_is_said_in_one_sentence(self, mkek):
        health = page().health

        assert "All well" in health.state
        assert mkek.label in health.sentence
        assert health.remarks == ()

    def test_no_current_mkek_comes_before_all_else(self, project):
        MKEK.objects.update(current_marker=None, state="previous")
        place(project, age=timedelta(hours=1), status="ERROR")

        health = page().health

        assert health.sentence.startswith("There is no current MKEK")
        assert health.remarks == ("1 order failed in the last 24 hours.",)

    def test_orders_that_wait_too_long_are_trouble(self, project):
        place(project, age=timedelta(minutes=12))
        place(project, age=timedelta(seconds=5))

        assert page().health.sentence.startswith("2 orders wait, the oldest for 12")

    def test_an_order_that_just_came_is_no_trouble(self, project):
        place(project, age=timedelta(seconds=5))

        assert "All well" in page().health.state

    def test_an_altered_audit_trail_is_trouble(self, mkek):
        AuditChain.objects.create(node="api1", verified_at=timezone.now())
        assert "All well" in page().health.state

        AuditChain.objects.create(
            node="api2", verified_at=timezone.now(), findings=[{"number": 1, "words": "w"}]
        )

        health = page().health
        assert "Trouble" in health.state
        assert health.sentence == "The audit trail of api2 is not whole: see Audit chains."

    def test_old_failures_are_history(self, project):
        place(project, age=timedelta(days=2), status="ERROR")

        assert "All well" in page().health.state

    def test_keys_that_expire_soon_are_named(self, project):
        APIKey.objects.create(name="k", project=project, expires_at=timezone.now() + timedelta(days=3))

        assert page().health.sentence == "1 API key expires within two weeks."


class TestFirstSteps:
    def test_a_fresh_installation_is_told_what_to_do(self, db, console):
        MKEK.objects.all().delete()

        html = console.get("/admin/").content.decode()

        assert "manage.py mkek_generate" in html
        assert [step.is_done for step in page().steps] == [False, False, False]

    def test_what_is_done_is_marked(self, mkek):
        assert [step.is_done for step in page().steps] == [True, False, False]

    def test_they_go_with_the_first_secret(self, project):
        Secret.objects.create(project=project)

        assert page().steps == ()
