"""The two-person rule for commands: asked for on a host, approved in the console, run once."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command, get_commands
from django.test import Client
from django.utils import timezone
from structlog.testing import capture_logs

from keepsite.approvals.commands import GUARDED
from keepsite.approvals.models import ActRequest
from keepsite.approvals.services import GUARDED_WITH
from keepsite.console.roles import AUDITOR, CRYPTO_OFFICER, OPERATOR, ROLES
from keepsite.identity.operators import command_principal
from keepsite.keyring import mkeks
from keepsite.keyring.models import MKEK
from keepsite.nodes.limits import NodeLimits
from keepsite.nodes.models import Node, Promotion
from keepsite.projects.models import Project
from keepsite.readonly import detail_url, list_url
from secrets_app.models import Secret
from tests.console.conftest import PASSWORD
from tests.console.pages import act_url, declared_acts
from tests.nodes.conftest import hosts, limits  # noqa: F401  # fixtures

LOGIN = command_principal().user_id
LABEL = "two-persons-1"
RULE = ["mkek.activate", "mkek.retire", "secret.purge", "promotion.start"]


@pytest.fixture(autouse=True)
def _rule(settings):
    settings.TWO_PERSON_ACTS = RULE


@pytest.fixture
def officer(db):
    """Logs in a crypto officer, or whoever is named in another role."""

    def log_in(name="carla", role=CRYPTO_OFFICER):
        user = User.objects.create_user(name, password=PASSWORD, is_staff=True)
        user.groups.add(Group.objects.get(name=role))
        client = Client()
        client.force_login(user)
        return client

    return log_in


@pytest.fixture(scope="module")
def _made(_generated_mkek, django_db_blocker):
    with django_db_blocker.unblock():
        made = mkeks.generate_mkek(label=LABEL, actor=command_principal())
        type(made).objects.filter(pk=made.pk).delete()
    return made


@pytest.fixture
def pending(mkek, _made):
    """A new MKEK beside the current one."""
    _made.save(force_insert=True)
    return _made


def activate(*options):
    call_command("mkek_activate", LABEL, "--yes", *options)


def ask(*options):
    activate("--ask", "--reason", "ticket 4711", *options)
    return ActRequest.objects.get()


def approve(client, request):
    url = act_url(ActRequest, "approve", request.pk)
    return client.post(url, {"reason": "agreed", "typed": "approve"})


def is_current():
    return MKEK.objects.get(label=LABEL).state == MKEK.State.CURRENT


class TestWithout:
    def test_refuses_and_says_how_to_go_on(self, pending):
        with pytest.raises(CommandError, match=r"--ask --reason.*Approvals.*--emergency"):
            activate()

        assert not is_current()
        assert not ActRequest.objects.exists()

    def test_no_rule_needs_no_approval(self, pending, settings, capsys):
        settings.TWO_PERSON_ACTS = ["secret.purge"]
        activate("--ask")
        assert "no approval is needed" in capsys.readouterr().out
        activate()

        assert is_current()

    def test_generating_does_not_go_round_it(self, mkek):
        with pytest.raises(CommandError, match="without --activate"):
            call_command("mkek_generate", "--label", LABEL, "--activate")

        assert not MKEK.objects.filter(label=LABEL).exists()

    def test_retiring_is_guarded_too(self, pending):
        with pytest.raises(CommandError, match="Two persons are needed"):
            call_command("mkek_retire", pending.label, "--yes")


class TestApproved:
    def test_is_run_once_with_both_names_in_the_audit_trail(self, pending, officer, audited, capsys):
        request = ask()
        assert "Asked for: manage.py mkek_activate two-persons-1" in capsys.readouterr().out
        approve(officer(), request)
        assert not is_current()

        activate()

        assert is_current()
        (record,) = audited("mkek.activated")
        assert (record["user_id"], record["approved_by"], record["method"]) == (LOGIN, "carla", "command")
        request.refresh_from_db()
        assert (request.state, request.outcome) == ("done", f"Run by {LOGIN}.")
        with pytest.raises(CommandError, match="Two persons are needed"):
            activate()

    def test_with_other_arguments_it_is_another_command(self, pending, officer):
        approve(officer(), ask())

        with pytest.raises(CommandError, match="Two persons are needed"):
            activate("--absent-ok")

    def test_what_another_asked_for_is_not_theirs_to_run(self, pending, officer, monkeypatch):
        approve(officer(), ask())
        monkeypatch.setenv("LOGNAME", "somebody-else")

        with pytest.raises(CommandError, match="Two persons are needed"):
            activate()

    def test_not_after_it_expired(self, pending, officer):
        request = ask()
        approve(officer(), request)
        ActRequest.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

        with pytest.raises(CommandError, match="Two persons are needed"):
            activate()
        page = officer("otto").get(list_url(ActRequest, state="expired")).content.decode()
        assert "mkek_activate" in page

    def test_not_while_it_waits(self, pending):
        ask()

        with pytest.raises(CommandError, match="Two persons are needed"):
            activate()

    def test_not_by_oneself(self, pending, officer):
        assert approve(officer(LOGIN), ask()).status_code == 403

    @pytest.mark.parametrize("role", [OPERATOR, AUDITOR])
    def test_not_without_the_permission_of_the_act(self, pending, officer, role):
        request = ask()

        assert approve(officer(role=role), request).status_code == 403
        assert ActRequest.objects.get().state == "waiting"

    def test_its_pages_say_what_approving_means(self, pending, officer):
        request, carla = ask(), officer()

        assert (
            "does nothing by itself" in carla.get(act_url(ActRequest, "approve", request.pk)).content.decode()
        )
        approve(carla, request)
        page = carla.get(detail_url(ActRequest, request.pk)).content.decode()
        assert "To be run" in page
        assert "It has not been run yet." in page


class TestEmergency:
    def test_needs_a_reason(self, pending):
        with pytest.raises(CommandError, match="has a reason"):
            activate("--emergency")

        assert not is_current()

    def test_is_done_and_nobody_can_miss_it(self, pending, officer, audited):
        with capture_logs() as logs:
            activate("--emergency", "--reason", "HSM burns, nobody else awake")

        assert is_current()
        (record,) = audited("act.emergency")
        assert (record["user_id"], record["reason"]) == (LOGIN, "HSM burns, nobody else awake")
        assert record["after"]["command"] == "manage.py mkek_activate two-persons-1"
        (line,) = (line for line in logs if line["log_level"] == "critical")
        assert line["event"] == "two_person_rule.set_aside"
        page = officer().get(list_url(ActRequest, state="emergency")).content.decode()
        assert "Emergency" in page
        assert "mkek_activate" in page


class TestPurge:
    @pytest.fixture
    def deleted(self, api):
        api.post("/v1/secrets", {"name": "a", "payload": "x", "payload_content_type": "text/plain"})
        Secret.objects.update(deleted_at=timezone.now() - timedelta(days=40))

    def test_what_is_overdue_is_another_act_than_what_is_not(self, deleted, settings):
        with pytest.raises(CommandError, match="Two persons are needed"):
            call_command("purge_deleted", "--older-than-days", "1")
        settings.TWO_PERSON_ACTS = ["order.purge-overdue"]
        with pytest.raises(CommandError, match="Two persons are needed"):
            call_command("purge_deleted")
        settings.TWO_PERSON_ACTS = ["secret.purge"]
        assert Secret.objects.exists()

        call_command("purge_deleted")

        assert not Secret.objects.exists()

    def test_an_approval_is_of_these_days(self, deleted, officer, audited):
        wanted = ["--older-than-days", "1"]
        call_command("purge_deleted", *wanted, "--ask", "--reason", "ticket 4711")
        approve(officer(), ActRequest.objects.get())
        with pytest.raises(CommandError, match="Two persons are needed"):
            call_command("purge_deleted", "--older-than-days", "0")

        call_command("purge_deleted", *wanted, "--reason", "now that it is agreed")

        assert not Secret.objects.exists()
        (ended,) = audited("purge.ended")
        assert (ended["user_id"], ended["approved_by"]) == (LOGIN, "carla")
        assert ended["reason"].endswith("Z; ticket 4711; now that it is agreed")
        assert (ended["before"]["secrets"], ended["after"]["secrets purged"]) == (1, 1)

    def test_counting_needs_nobody(self, deleted):
        with pytest.raises(SystemExit):
            call_command("purge_deleted", "--older-than-days", "1", "--dry-run")


class TestPromote:
    @pytest.fixture
    def site(self, hosts, limits, monkeypatch):  # noqa: F811  # fixtures
        monkeypatch.setattr(NodeLimits, "from_settings", lambda: limits)
        return hosts

    def start(self, *options):
        call_command("promote", "start", "--reason", "release 2", *options)

    def test_is_approved_and_started(self, site, officer):
        with pytest.raises(CommandError, match="Two persons are needed"):
            self.start("--no-wait")
        self.start("--ask")
        approve(officer(role=OPERATOR), ActRequest.objects.get())

        self.start("--no-wait")

        assert Promotion.objects.get().state == Promotion.State.RUNNING

    def test_in_the_console_it_is_started_by_whoever_approves(self, site, officer):
        anna, bert = officer("anna", OPERATOR), officer("bert", OPERATOR)
        anna.post(act_url(Promotion, "start"), {"reason": "release 2", "typed": "promote"})
        assert not Promotion.objects.exists()

        approve(bert, ActRequest.objects.get())

        assert Promotion.objects.get().started_by == "anna"

    def test_going_on_is_guarded_by_its_own_name_and_approved_for_one_promotion(
        self, site, officer, settings, audited
    ):
        self.start("--emergency", "--no-wait")
        settings.TWO_PERSON_ACTS = ["promotion.resume"]
        resume = ("promote", "resume", "--reason", "ticket 4711", "--no-wait")
        with pytest.raises(CommandError, match="not stopped"):
            call_command(*resume)
        Promotion.objects.update(state=Promotion.State.STOPPED)

        with pytest.raises(CommandError, match="Two persons are needed"):
            call_command(*resume)
        call_command(*resume, "--ask")
        request = ActRequest.objects.get(act="promote resume")
        assert request.row_ids == [Promotion.objects.get().pk]
        approve(officer(role=OPERATOR), request)
        call_command(*resume)

        assert Promotion.objects.get().state == Promotion.State.RUNNING
        (record,) = audited("promotion.resumed")
        assert (record["user_id"], record["approved_by"]) == (LOGIN, "carla")

    def test_the_way_back_needs_nobody(self, site, officer):
        self.start("--emergency", "--no-wait")

        call_command("promote", "rollback", "--reason", "errors", "--no-wait")

        assert Promotion.objects.get().state == Promotion.State.ROLLING_BACK


class TestSuspension:
    @pytest.fixture(autouse=True)
    def _project(self, db, settings):
        Project.objects.create(external_id="p1")
        settings.TWO_PERSON_ACTS = ["project.suspend", "project.resume"]

    def is_suspended(self):
        return Project.objects.get().suspended_at is not None

    def test_is_refused_approved_and_done_once(self, officer, audited):
        suspend = ("project_suspend", "p1", "--reason", "ticket 4711")
        with pytest.raises(CommandError, match="Two persons are needed"):
            call_command(*suspend)
        call_command(*suspend, "--ask")
        assert not self.is_suspended()
        approve(officer(role=OPERATOR), ActRequest.objects.get())

        with pytest.raises(CommandError, match="no project"):
            call_command("project_suspend", "p2", "--reason", "ticket 4711")
        call_command(*suspend)

        assert self.is_suspended()
        assert audited("project.suspended")[0]["approved_by"] == "carla"

    def test_resuming_goes_by_its_own_name(self, officer, settings):
        call_command("project_suspend", "p1", "--reason", "r", "--emergency")
        with pytest.raises(CommandError, match="suspended already"):
            call_command("project_suspend", "p1", "--reason", "r", "--emergency")
        with pytest.raises(CommandError, match="Two persons are needed"):
            call_command("project_resume", "p1")
        settings.TWO_PERSON_ACTS = ["project.suspend"]

        call_command("project_resume", "p1")

        assert not self.is_suspended()


class TestColour:
    """Whoever guards promotions guards the colours set by hand too; what only takes work away stays free."""

    @pytest.fixture(autouse=True)
    def _site(self, hosts, limits, monkeypatch):  # noqa: F811  # fixtures
        monkeypatch.setattr(NodeLimits, "from_settings", lambda: limits)

    def set_colour(self, *arguments):
        call_command("node_colour", *arguments)

    def wanted(self, name):
        return str(Node.objects.get(name=name).wanted)

    @pytest.mark.parametrize("rule", ["promotion.start", "node.colour"])
    @pytest.mark.parametrize(("verb", "node"), [("green", "b1"), ("blue", "g1")])
    def test_is_refused_without_a_second_person(self, settings, rule, verb, node):
        settings.TWO_PERSON_ACTS = [rule]
        before = self.wanted(node)

        with pytest.raises(CommandError, match="Two persons are needed"):
            self.set_colour(verb, node)

        assert self.wanted(node) == before

    @pytest.mark.parametrize(
        ("verb", "node", "after"), [("drain", "g1", "green drain"), ("offline", "g1", "none down")]
    )
    def test_what_takes_work_away_needs_nobody(self, verb, node, after):
        self.set_colour(verb, node)

        assert self.wanted(node) == after

    @pytest.mark.parametrize("verb", ["drain", "undrain", "offline", "forget"])
    def test_unless_the_rule_names_it(self, settings, verb):
        settings.TWO_PERSON_ACTS = [f"node.{verb}"]

        with pytest.raises(CommandError, match="Two persons are needed"):
            self.set_colour(verb, "g1")
        assert self.wanted("g1") == "green up"

    def test_the_approved_colour_of_the_approved_node_is_set_once(self, officer, audited):
        self.set_colour("green", "b1", "--ask", "--reason", "ticket 4711")
        request = ActRequest.objects.get()
        assert str(request) == "manage.py node_colour green b1"
        assert approve(officer(LOGIN, OPERATOR), request).status_code == 403
        approve(officer("bert", OPERATOR), request)

        for other in (("green", "b2"), ("blue", "b1"), ("blue", "g1")):
            with pytest.raises(CommandError, match="Two persons are needed"):
                self.set_colour(*other)
        self.set_colour("green", "b1", "--reason", "ticket 4711")

        assert self.wanted("b1") == "green up"
        (record,) = audited("node.state_wanted")
        assert (record["subject"], record["user_id"], record["approved_by"]) == ("node:b1", LOGIN, "bert")
        with pytest.raises(CommandError, match="Two persons are needed"):
            self.set_colour("green", "b1")

    def test_an_approval_expires(self, officer):
        self.set_colour("green", "b1", "--ask", "--reason", "r")
        approve(officer(role=OPERATOR), ActRequest.objects.get())
        ActRequest.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

        with pytest.raises(CommandError, match="Two persons are needed"):
            self.set_colour("green", "b1")

    def test_what_cannot_be_done_uses_up_no_approval(self, settings, officer):
        settings.TWO_PERSON_ACTS = ["node.drain"]
        self.set_colour("drain", "b1", "--ask", "--reason", "r")
        approve(officer(role=OPERATOR), ActRequest.objects.get())
        Node.objects.filter(name="b1").update(wanted_colour="none")

        with pytest.raises(CommandError, match="nothing to drain"):
            self.set_colour("drain", "b1")

        assert ActRequest.objects.get().state == ActRequest.State.APPROVED

    def test_in_an_emergency_it_is_done_and_seen(self, audited):
        self.set_colour("blue", "g1", "--emergency", "--reason", "wrong release in the pool")

        assert self.wanted("g1") == "blue up"
        assert audited("act.emergency")[0]["after"]["command"] == "manage.py node_colour blue g1"

    def test_in_the_console_another_approves_what_was_filled_in(self, officer, audited):
        anna, bert = officer("anna", OPERATOR), officer("bert", OPERATOR)
        page = anna.get(act_url(Node, "colour", "b1")).content.decode()
        assert "Two persons are needed" in page
        anna.post(act_url(Node, "colour", "b1"), {"reason": "ticket 4711", "colour": "green", "typed": "b1"})
        request = ActRequest.objects.get()
        assert self.wanted("b1") == "blue up"
        assert approve(anna, request).status_code == 403

        approve(bert, request)

        assert (self.wanted("b1"), self.wanted("b2")) == ("green up", "blue up")
        (record,) = audited("node.state_wanted")
        assert (record["user_id"], record["approved_by"]) == ("anna", "bert")

    def test_in_the_console_draining_is_done_at_once(self, officer):
        officer("anna", OPERATOR).post(act_url(Node, "drain", "g1"), {"reason": "ticket 4711"})

        assert self.wanted("g1") == "green drain"


def test_what_is_guarded_exists():
    acts = {f"{model._meta.model_name}.{act.name}" for model, act in declared_acts()}
    known = set().union(*ROLES.values())

    assert {name.split()[0] for name in GUARDED} <= get_commands().keys()
    assert acts >= GUARDED_WITH.keys() | set(GUARDED_WITH.values())
    assert all(command.acts <= acts and command.permissions <= known for command in GUARDED.values())
