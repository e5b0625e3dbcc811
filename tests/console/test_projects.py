"""The page of a project: use and quota, pKEKs over time, suspended and resumed."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.utils import timezone

from keepsite.keyring.models import ProjectKEK
from keepsite.projects.models import Project, ProjectQuota
from keepsite.readonly import detail_url, list_url
from keepsite.trail.models import AuditChain, AuditRecord, AuditSegment
from tests.console.pages import act_url
from tests.support.callers import Caller


@pytest.fixture
def caller(mkek):
    return Caller.make(project="p1")


@pytest.fixture
def project(caller):
    return Project.objects.get()


def bars(console, project):
    sections = console.get(detail_url(Project, project.pk)).context["page"].sections
    return {bar.label: (bar.used, bar.limit) for section in sections for bar in section.bars}


class TestWhatElse:
    def shown(self, console, project, title):
        sections = console.get(detail_url(Project, project.pk)).context["page"].sections
        return next(section for section in sections if section.title == title).table

    def test_its_api_keys_are_listed(self, console, caller, project):
        Caller.make(project="p2")

        assert len(self.shown(console, project, "API keys").rows) == 1

    def test_what_was_done_in_it_and_to_it_is_listed_the_newest_first(self, console, project):
        chain = AuditChain.objects.create(node="n")
        segment = AuditSegment.objects.create(
            chain=chain, number=1, start=0, end=0, lines=3, row_hashes=b"", collected_at=timezone.now()
        )
        theirs = ({"project": "p1"}, {"subject": f"project:{project.pk}"}, {"project": "p2"})
        for position, about in enumerate(theirs):
            at = timezone.now() + timedelta(seconds=position)
            action = f"act {position}"
            AuditRecord.objects.create(segment=segment, position=position, at=at, action=action, **about)

        rows = self.shown(console, project, "Audit").rows

        assert [str(row.name) for row in rows] == ["act 1", "act 0"]

    def test_its_pkek_is_rotated_from_here(self, console, console_of, caller, project):
        caller.store("x")
        pkek = ProjectKEK.objects.get(project=project, active_marker=True)
        (button,) = console.get(detail_url(Project, project.pk)).context["links"]

        assert button.url == act_url(ProjectKEK, "rotate-now", pkek.pk)
        assert console_of("viewer").get(detail_url(Project, project.pk)).context["links"] == []


class TestQuota:
    def set_quota(self, console, project, **limits):
        return console.post(act_url(Project, "quota", project.pk), {"reason": "ticket", **limits})

    def test_holds_from_the_next_request_on(self, console, caller, project):
        self.set_quota(console, project, secrets="1", orders="")

        assert [caller.post("/v1/secrets", {"name": "n"}).status_code for _ in range(2)] == [201, 403]
        assert bars(console, project)["Secrets"] == (1, 1)

    def test_what_was_left_empty_is_the_default_again(self, console, project, settings):
        settings.QUOTAS = {**settings.QUOTAS, "secrets": 7}
        self.set_quota(console, project, secrets="1")
        self.set_quota(console, project, secrets="")

        assert bars(console, project)["Secrets"] == (0, 7)

    def test_form_starts_with_what_holds(self, console, project):
        self.set_quota(console, project, containers="3")

        form = console.get(act_url(Project, "quota", project.pk)).context["page"].form

        assert (form["containers"].value(), form["secrets"].value()) == (3, None)

    def test_is_audited_with_before_and_after(self, console, project, audited):
        self.set_quota(console, project, secrets="5")
        self.set_quota(console, project, secrets="9")

        record = audited("project_quota.set")[-1]
        assert (record["before"]["secrets"], record["after"]["secrets"]) == (5, 9)
        assert (record["user_id"], record["reason"]) == ("olga", "ticket")

    @pytest.mark.parametrize("limit", ["-2", "many", str(2**31)])
    def test_nonsense_changes_nothing(self, console, project, limit):
        assert self.set_quota(console, project, secrets=limit).status_code == 200
        assert not ProjectQuota.objects.exists()


class TestSuspension:
    def test_suspended_and_resumed(self, console, caller, project, audited):
        url = act_url(Project, "suspend", project.pk)

        assert console.post(url, {"reason": "unpaid", "typed": "p1"}).url == detail_url(Project, project.pk)
        refused = caller.get("/v1/secrets")
        page = console.get(detail_url(Project, project.pk)).content.decode()
        console.post(act_url(Project, "resume", project.pk), {"reason": "paid"})

        assert refused.status_code == 403
        assert "suspended" in refused.json()["description"]
        assert "unpaid" in page
        assert caller.get("/v1/secrets").status_code == 200
        assert audited("project.suspended")[0]["reason"] == "unpaid"
        assert audited("project.resumed")[0]["reason"] == "paid"

    def test_lists_tell(self, console, project):
        console.post(act_url(Project, "suspend", project.pk), {"reason": "unpaid", "typed": "p1"})

        (row,) = console.get(list_url(Project, state="suspended")).context["page"].table.rows
        assert "Suspended" in row.cells[0].value

    def test_asks_for_the_project_typed_out(self, console, caller, project):
        console.post(act_url(Project, "suspend", project.pk), {"reason": "unpaid", "typed": "p2"})

        assert caller.get("/v1/secrets").status_code == 200


class TestPage:
    def test_each_number_is_the_length_of_the_list_it_leads_to(self, store, console):
        for project in Project.objects.all()[:4]:
            page = console.get(detail_url(Project, project.pk)).context["page"]
            keeps = next(section for section in page.sections if section.title == "What it keeps here")
            for fact in keeps.facts:
                url, number = re.fullmatch(r'<a href="(.*)">(\d+)</a>', fact.value).groups()
                found = console.get(unescape(url)).context["page"]
                assert len(found.table.rows) == int(number), (project, fact.label)

    def test_pkeks_stand_in_their_order(self, store, console):
        project = ProjectKEK.objects.filter(generation=2).first().project

        sections = console.get(detail_url(Project, project.pk)).context["page"].sections
        (timeline,) = (section.timeline for section in sections if section.timeline)

        assert ["Generation 2" in span.label for span in timeline] == [True, False]
        assert ["Seals and opens" in span.state for span in timeline] == [True, False]
        assert "now" in timeline[0].until
        assert timeline[1].until == timeline[0].since
