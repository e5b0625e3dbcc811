"""The two-person rule: asked for by one operator, approved by another, carried out once."""

import threading
from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db import connection
from django.db.models import F
from django.http import HttpRequest
from django.test import Client
from django.utils import timezone

from keepsite import audit
from keepsite.approvals import services
from keepsite.approvals.models import ActRequest
from keepsite.console.checks import two_person_acts_exist
from keepsite.console.roles import CRYPTO_OFFICER, OPERATOR
from keepsite.errors import Conflict
from keepsite.projects.models import Project
from keepsite.readonly import detail_url, list_url
from secrets_app.models import Secret
from tests.console.conftest import PASSWORD
from tests.console.pages import act_url
from tests.console.test_second_factor import make_old

REASON = {"reason": "ticket 4711"}


@pytest.fixture(autouse=True)
def _rule(settings):
    settings.TWO_PERSON_ACTS = ["project.suspend", "project.quota", "secret.purge"]


@pytest.fixture
def project(db):
    return Project.objects.create(external_id="p1")


@pytest.fixture
def person(db):
    """Logs in whoever is named, with all rights or in a role."""

    def log_in(name, role=None):
        user = User.objects.create_user(name, password=PASSWORD, is_staff=True, is_superuser=role is None)
        if role:
            user.groups.add(Group.objects.get(name=role))
        client = Client()
        client.force_login(user)
        return client

    return log_in


def client_of(name):
    """One more log-in of somebody known."""
    client = Client()
    client.force_login(User.objects.get(username=name))
    return client


@pytest.fixture
def asked(person, project):
    """Anna, an operator, has asked to suspend p1."""
    anna = person("anna", OPERATOR)
    anna.post(act_url(Project, "suspend", project.pk), {**REASON, "typed": "p1"})
    return ActRequest.objects.get()


def approve(client, request, **fields):
    return client.post(
        act_url(ActRequest, "approve", request.pk), {"reason": "agreed", "typed": "approve"} | fields
    )


def is_suspended():
    return Project.objects.get().suspended_at is not None


class TestAsking:
    def test_does_nothing_yet_and_leads_to_the_request(self, person, project, audited):
        anna = person("anna")
        page = anna.get(act_url(Project, "suspend", project.pk)).content.decode()
        assert "Two persons are needed" in page
        assert "Ask for approval" in page

        answer = anna.post(act_url(Project, "suspend", project.pk), {**REASON, "typed": "p1"})

        request = ActRequest.objects.get()
        assert answer.url == detail_url(ActRequest, request.pk)
        assert not is_suspended()
        (record,) = audited("act.requested")
        assert (record["user_id"], record["reason"]) == ("anna", "ticket 4711")
        assert record["after"]["act"] == "projects.project.suspend"

    def test_the_same_twice_is_one_request(self, asked, person, project):
        answer = person("bert").post(act_url(Project, "suspend", project.pk), {**REASON, "typed": "p1"})

        assert "waits for approval already" in answer.content.decode()
        assert ActRequest.objects.count() == 1

    def test_keeps_no_password(self, person, project):
        anna = person("anna")
        make_old(anna)
        anna.post(act_url(Project, "suspend", project.pk), {**REASON, "typed": "p1", "password": PASSWORD})

        assert ActRequest.objects.get().form == {"reason": ["ticket 4711"]}

    def test_is_shown_in_every_header_until_decided(self, asked, person):
        bert = person("bert")
        assert "1 waiting for approval" in bert.get("/admin/").content.decode()
        approve(bert, asked)

        assert "waiting for approval" not in bert.get("/admin/").content.decode()

    @pytest.mark.parametrize("answer", ["approve", "refuse"])
    def test_who_asked_is_told_what_became_of_it(self, asked, person, answer):
        anna, bert = client_of("anna"), person("bert")
        assert "of yours settled" not in anna.get("/admin/").content.decode()
        bert.post(act_url(ActRequest, answer, asked.pk), {**REASON, "typed": "approve"})

        assert "1 of yours settled" in anna.get("/admin/").content.decode()
        assert "of yours settled" not in bert.get("/admin/").content.decode()
        assert list(anna.get(list_url(ActRequest, own="settled")).context["cl"].result_list) == [asked]
        assert list(bert.get(list_url(ActRequest, own="settled")).context["cl"].result_list) == []

    @pytest.mark.parametrize(
        ("hours", "is_told"), [(23, False), (25, True), (47, True), (49, False)]
    )  # it may be decided for 24, and is told of for 24 more
    def test_who_asked_is_told_that_nobody_decided(self, asked, hours, is_told):
        ActRequest.objects.update(
            requested_at=F("requested_at") - timedelta(hours=hours),
            expires_at=F("expires_at") - timedelta(hours=hours),
        )

        assert ("of yours settled" in client_of("anna").get("/admin/").content.decode()) == is_told

    def test_who_withdrew_it_is_told_nothing(self, asked):
        anna = client_of("anna")
        anna.post(act_url(ActRequest, "refuse", asked.pk), REASON)

        assert "of yours settled" not in anna.get("/admin/").content.decode()

    def test_other_acts_are_done_at_once(self, person, project):
        project.suspended_at = timezone.now()
        project.save()
        person("anna").post(act_url(Project, "resume", project.pk), REASON)

        assert not is_suspended()


class TestApproving:
    def test_carries_it_out_with_both_names_in_the_audit_trail(self, asked, person, audited):
        answer = approve(person("bert", OPERATOR), asked)

        assert answer.status_code == 302
        assert is_suspended()
        (done,) = audited("project.suspended")
        assert (done["user_id"], done["approved_by"]) == ("anna", "bert")
        assert done["before"] == {"suspended_at": None}
        assert done["after"]["suspended_at"]
        (decided,) = audited("act.approved")
        assert decided["before"] == {"state": "waiting", "requested_by": "anna"}
        assert decided["after"] == {"state": "approved", "decided_by": "bert"}
        assert audited("act.carried_out")[0]["after"]["outcome"] == "The project p1 is suspended."
        asked.refresh_from_db()
        assert (asked.state, asked.decided_by) == ("done", "bert")

    def test_what_was_filled_in_is_shown_and_carried_out(self, person, project):
        limits = {"secrets": "7", "orders": "", "containers": "-1", "consumers": "3"}
        person("anna").post(act_url(Project, "quota", project.pk), REASON | limits)
        bert, request = person("bert"), ActRequest.objects.get()
        assert "Consumers" in bert.get(act_url(ActRequest, "approve", request.pk)).content.decode()
        approve(bert, request)

        quota = Project.objects.get().quota
        assert (quota.secrets, quota.orders, quota.containers, quota.consumers) == (7, None, -1, 3)

    def test_never_by_oneself(self, person, project):
        anna = person("anna")
        anna.post(act_url(Project, "suspend", project.pk), {**REASON, "typed": "p1"})
        request = ActRequest.objects.get()

        assert approve(anna, request).status_code == 403
        buttons = anna.get(detail_url(ActRequest, request.pk)).context["acts"]
        assert [button.name for button in buttons] == ["refuse"]
        assert not is_suspended()

    @pytest.mark.parametrize("role", [CRYPTO_OFFICER, "viewer", "auditor"])
    def test_not_without_the_permission_of_the_act(self, asked, person, role):
        assert approve(person("carl", role), asked).status_code == 403
        assert not is_suspended()

    def test_not_by_who_lost_the_permission_meanwhile(self, asked, person):
        bert = person("bert", OPERATOR)
        assert bert.get(act_url(ActRequest, "approve", asked.pk)).status_code == 200
        User.objects.get(username="bert").groups.clear()

        assert approve(bert, asked).status_code == 403

    def test_not_for_who_lost_the_permission_meanwhile(self, asked, person):
        User.objects.get(username="anna").groups.clear()

        assert "anna may not do this any more" in approve(person("bert"), asked).content.decode()
        assert not is_suspended()

    def test_only_once(self, asked, person):
        bert = person("bert")
        approve(bert, asked)
        Project.objects.update(suspended_at=None)

        assert "nothing to do" in approve(bert, asked).content.decode()
        assert not is_suspended()

    def test_not_after_it_expired(self, asked, person):
        ActRequest.objects.update(expires_at=timezone.now())
        bert = person("bert")

        assert "nothing to do" in approve(bert, asked).content.decode()
        assert "Expired" in bert.get(list_url(ActRequest, state="expired")).content.decode()
        assert "waiting for approval" not in bert.get("/admin/secrets_app/secret/").content.decode()

    def test_not_when_what_it_is_about_has_changed(self, asked, person):
        Project.objects.update(suspended_at=timezone.now())

        assert "has changed since" in approve(person("bert"), asked).content.decode()
        assert ActRequest.objects.get().state == "waiting"

    @pytest.mark.parametrize("change", [{"act": "burn"}, {"noun": "gone.model"}])
    def test_an_act_that_this_release_lacks_can_only_be_refused(self, asked, person, change):
        ActRequest.objects.update(**change)
        bert = person("bert")

        assert bert.get(detail_url(ActRequest, asked.pk)).status_code == 200
        assert "does not know the act" in approve(bert, asked).content.decode()
        bert.post(act_url(ActRequest, "refuse", asked.pk), REASON)
        assert ActRequest.objects.get().state == "refused"

    def test_a_failure_is_kept_with_the_request(self, asked, person, audited, monkeypatch):
        from keepsite.projects import suspension

        def fail(*_, **__):
            raise Conflict("Something came between.")

        monkeypatch.setattr(suspension, "suspend_project", fail)
        answer = approve(person("bert"), asked)

        assert "Something came between." in answer.content.decode()
        asked.refresh_from_db()
        assert (asked.state, asked.outcome) == ("failed", "Something came between.")
        assert len(audited("act.failed")) == 1

    def test_asks_for_the_password_when_the_log_in_is_old(self, asked, person):
        bert = person("bert")
        make_old(bert)
        approve(bert, asked, password="wrong")
        assert not is_suspended()

        approve(bert, asked, password=PASSWORD)
        assert is_suspended()

    def test_purges_what_was_ticked(self, api, person):
        for name in "abc":
            api.post("/v1/secrets", {"name": name, "payload": "x", "payload_content_type": "text/plain"})
        Secret.objects.filter(name__in="ab").update(deleted_at=timezone.now())
        ids = [str(pk) for pk in Secret.objects.filter(name__in="ab").values_list("pk", flat=True)]
        anna = person("anna", CRYPTO_OFFICER)
        anna.post(act_url(Secret, "purge"), {**REASON, "typed": "purge 2", "id": ids})
        assert Secret.objects.count() == 3

        approve(person("bert", CRYPTO_OFFICER), ActRequest.objects.get())
        assert [secret.name for secret in Secret.objects.all()] == ["c"]


class TestRefusing:
    def refuse(self, client, request):
        return client.post(act_url(ActRequest, "refuse", request.pk), {"reason": "not now"})

    def test_ends_it(self, asked, person, audited):
        bert = person("bert")
        self.refuse(bert, asked)

        asked.refresh_from_db()
        assert (asked.state, asked.decision_reason) == ("refused", "not now")
        assert audited("act.refused")[0]["user_id"] == "bert"
        approve(bert, asked)
        assert not is_suspended()

    def test_who_asked_withdraws_it(self, person, project):
        anna = person("anna")
        anna.post(act_url(Project, "suspend", project.pk), {**REASON, "typed": "p1"})

        assert self.refuse(anna, ActRequest.objects.get()).status_code == 302
        assert ActRequest.objects.get().state == "refused"


class TestAtOnce:
    @pytest.mark.django_db(transaction=True)
    def test_one_of_many_who_approve_takes_it(self):
        request = services.ask(
            noun="projects.project",
            act="suspend",
            title="t",
            row_ids=["1"],
            form={},
            reason="r",
            actor=audit.ConsoleOperator(user_id="anna"),
        )
        taken = []

        def one(number):
            try:
                services.approve(request, actor=audit.ConsoleOperator(user_id=f"b{number}"), reason="r")
                taken.append(number)
            except Conflict:
                pass
            finally:
                connection.close()

        threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(taken) == 1
        request.refresh_from_db()
        assert request.decided_by == f"b{taken[0]}"


class TestSettings:
    def test_names_of_no_act_are_refused_at_start(self, settings):
        settings.TWO_PERSON_ACTS = ["secret.purge", "secret.burn", "apikey.create"]

        problems = two_person_acts_exist(None)

        assert ["secret.burn" in problems[0].msg, "cannot wait" in problems[1].msg] == [True, True]

    def test_hours_are_those_of_the_setting(self, settings, asked):
        assert asked.expires_at - asked.requested_at == timedelta(hours=settings.APPROVAL_H)


def test_rows_of_every_list_with_acts_are_found_without_a_reader(db):
    """A request is carried out on rows as its list shows them, whoever approves it."""
    for model_admin in admin.site._registry.values():
        if getattr(model_admin, "acts", ()):
            assert model_admin.get_queryset(HttpRequest()).exists() in {True, False}
