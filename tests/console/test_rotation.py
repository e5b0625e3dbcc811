"""Replacing keys from the console: MKEKs, pKEKs, and runs that are started, watched and steered."""

import json
import re
from datetime import timedelta

import pytest
from django.utils import timezone

from hsm.member import State as MemberState
from hsm.provider import hsm
from keepsite.keyring.console.live import live_run
from keepsite.keyring.models import MKEK, KEKRun, KEKRunFailure, ProjectKEK
from keepsite.keyring.rotation import runs
from keepsite.keyring.rotation.execution import Execution
from keepsite.keyring.rotation.runners import runner_name
from keepsite.projects.models import Project
from keepsite.readonly import detail_url, list_url
from secrets_app.models import Payload
from tests.console.pages import act_url
from tests.support.callers import Caller
from tests.support.waiting import wait_until

PACE = {"rate": "", "batch_rows": "100", "reason": "ticket"}
State, Kind = KEKRun.State, KEKRun.Kind


@pytest.fixture(autouse=True)
def _no_grace(settings):
    settings.KEK_GRACE_S = 0


@pytest.fixture
def stored(mkek):
    """Two projects with two secrets each."""
    callers = [Caller.make(project=name) for name in ("p1", "p2")]
    return {caller: [caller.store(f"payload {number}") for number in range(2)] for caller in callers}


@pytest.fixture
def make_run(db):
    """A run as some worker might have left it."""

    def make(**columns):
        told = {"kind": Kind.REENCRYPT, "started_by": "alma", "by_workers": True, "rows_left": 5}
        return KEKRun.objects.create(**{**told, **columns})

    return make


def start(console, act, **fields):
    """Both steps: the choices, then the same again once what they touch was shown."""
    url = act_url(KEKRun, act)
    shown = console.post(url, {**PACE, **fields}).context["page"]
    return shown, console.post(url, {**PACE, **fields, "previewed": shown.previewed})


def worked_on(run):
    """What a worker makes of it."""
    held = runs.claim(run.id, runner=runner_name(), now=timezone.now())
    return Execution(held, actor=runs.worker_of(held)).execute()


def facts(page):
    return {fact.label: re.sub(r"<[^>]+>", "", fact.value) for fact in page.facts}


def live(console, run):
    return json.loads(console.get(f"{detail_url(KEKRun, run.pk)}live/").content)


def notice(run):
    return live_run(run, now=timezone.now()).notice.message


class TestStart:
    def test_shows_what_it_touches_before_anything_is_done(self, stored, console):
        shown = console.post(act_url(KEKRun, "rotate"), PACE).context["page"]

        assert facts(shown)["It touches"] == "2 active pKEKs"
        assert not KEKRun.objects.exists()

    @pytest.mark.parametrize(
        ("fields", "touched"),
        [
            ({"project": "p1"}, "1 active pKEK"),
            ({"older_than_days": "30"}, "1 active pKEK"),
            ({"over_encryptions": "1"}, "2 active pKEKs"),
            ({"over_encryptions": "2"}, "0 active pKEKs"),
        ],
    )
    def test_each_field_narrows(self, stored, console, fields, touched):
        old = timezone.now() - timedelta(days=40)
        ProjectKEK.objects.filter(project__external_id="p2").update(created_at=old)

        page = console.post(act_url(KEKRun, "rotate"), {**PACE, **fields}).context["page"]

        assert facts(page)["It touches"] == touched

    def test_other_choices_than_those_shown_are_shown_first(self, stored, console):
        url = act_url(KEKRun, "rotate")
        seen = console.post(url, {**PACE, "project": "p1"}).context["page"].previewed

        answer = console.post(url, {**PACE, "previewed": seen})

        assert facts(answer.context["page"])["It touches"] == "2 active pKEKs"
        assert not KEKRun.objects.exists()

    def test_leads_to_the_run_which_says_who_and_why(self, stored, console, audited):
        _, answer = start(console, "rotate", project="p1", rate="5", batch_rows="7")

        run = KEKRun.objects.get()
        assert answer.url == detail_url(KEKRun, run.pk)
        assert (run.started_by, run.reason, run.rate, run.batch_rows) == ("olga", "ticket", 5, 7)
        assert run.by_workers
        assert audited("kek_run.started")[0]["user_id"] == "olga"

    def test_what_cannot_be_begun_says_why(self, stored, console):
        answer = console.post(act_url(KEKRun, "rotate"), {**PACE, "project": "nobody's"})

        assert "There is no project" in answer.content.decode()
        assert not KEKRun.objects.exists()

    def test_a_link_fills_the_form_in(self, stored, console):
        form = console.get(act_url(KEKRun, "rotate"), {"project": "p2", "reason": "x"}).context["page"].form

        assert (form["project"].value(), form["reason"].value()) == ("p2", None)


class TestFromOldKeysToNew:
    def test_rotated_re_encrypted_and_still_read(self, stored, console):
        old = ProjectKEK.objects.get(project__external_id="p1")
        answer = console.post(act_url(ProjectKEK, "rotate-now", old.pk), {"reason": "leak"})
        rotated = worked_on(KEKRun.objects.get())
        assert answer.url == detail_url(KEKRun, rotated.pk)
        console.post(act_url(ProjectKEK, "reencrypt-now", old.pk), PACE)
        moved = worked_on(KEKRun.objects.get(kind=Kind.REENCRYPT))

        old.refresh_from_db()
        assert (rotated.state, moved.state, moved.rows_done) == (State.DONE, State.DONE, 2)
        assert old.state == ProjectKEK.State.RETIRED
        for caller, paths in stored.items():
            assert [caller.get(f"{path}/payload").status_code for path in paths] == [200, 200]

    def test_a_new_mkek_from_its_birth_to_the_old_ones_end(self, stored, console, mkek, audited):
        ProjectKEK.objects.create(
            project=Project.objects.first(), mkek=mkek, generation=9, state="retired", active_marker=None
        )
        made = console.post(
            act_url(MKEK, "generate"),
            {"label": "console-mkek-2", "template": "none", "reason": "yearly", "typed": ""},
        )
        new = MKEK.objects.get(label="console-mkek-2")
        assert made.url == detail_url(MKEK, new.pk)
        about = facts(console.get(act_url(MKEK, "activate", new.pk)).context["page"])
        assert about["It replaces"] == mkek.label
        assert about["Member a"] == "opens its canary"

        console.post(act_url(MKEK, "activate", new.pk), {"reason": "yearly", "typed": new.label})
        refused = console.post(act_url(MKEK, "retire", mkek.pk), {"reason": "yearly", "typed": mkek.label})
        console.post(act_url(MKEK, "rewrap", mkek.pk), PACE)
        before = console.get(detail_url(MKEK, mkek.pk)).context["page"].notice.message
        run = worked_on(KEKRun.objects.get())
        after = console.get(detail_url(MKEK, mkek.pk)).context["page"].notice.message
        console.post(act_url(MKEK, "retire", mkek.pk), {"reason": "yearly", "typed": mkek.label})

        assert "still wraps 2 pKEKs" in refused.content.decode()
        assert "still wraps 2 pKEKs" in before
        assert "can be retired" in after
        assert (run.kind, run.state, run.rows_done) == (Kind.REWRAP, State.DONE, 2)
        states = dict(MKEK.objects.values_list("label", "state"))
        assert states == {mkek.label: MKEK.State.RETIRED, new.label: MKEK.State.CURRENT}
        for action in ("mkek.generated", "mkek.activated", "mkek.retired"):
            assert audited(action)[0]["reason"] == "yearly"
        assert audited("mkek.generated")[0]["after"]["kcv"] == new.kcv
        activated = audited("mkek.activated")[0]
        assert activated["before"] == {"state": "pending", "current_mkek": mkek.label}
        assert activated["after"] == {"state": "current", "current_mkek": new.label}

    def test_an_mkek_is_activated_only_by_its_name(self, stored, console, mkek):
        new = MKEK.objects.create(label="console-mkek-3", cka_id="ab" * 16, kcv="000000")

        answer = console.post(act_url(MKEK, "activate", new.pk), {"reason": "r", "typed": mkek.label})

        assert "not the same" in answer.content.decode()
        assert MKEK.objects.get(current_marker=True) == mkek

    def test_members_that_lack_the_key_are_told_and_refuse(self, stored, console, mkek):
        new = MKEK.objects.create(label="console-mkek-4", cka_id="cd" * 16, kcv="000000")
        url = act_url(MKEK, "activate", new.pk)

        assert "lacks this key" in facts(console.get(url).context["page"])["Member a"]
        answer = console.post(url, {"reason": "r", "typed": new.label})

        assert "does not open its canary" in answer.content.decode()
        assert MKEK.objects.get(current_marker=True) == mkek

    def test_master_keys_are_acted_on_only_after_a_recent_log_in(self, stored, console, mkek):
        session = console.session
        session["proven_at"] = 0
        session.save()

        fields = {"label": "console-mkek-5", "template": "none", "reason": "r"}
        answer = console.post(act_url(MKEK, "generate"), fields)

        assert answer.context["page"].form["password"].errors
        assert not MKEK.objects.filter(label="console-mkek-5").exists()


class TestSteering:
    def steer(self, console, run, act, **fields):
        answer = console.post(act_url(KEKRun, act, run.pk), {"reason": "night shift", **fields})
        run.refresh_from_db()
        return answer

    def test_paused_and_resumed(self, console, make_run, audited):
        run = make_run(state=State.RUNNING)

        self.steer(console, run, "pause")
        assert run.state == State.PAUSED
        self.steer(console, run, "resume")

        assert run.state == State.QUEUED
        assert audited("kek_run.paused")[0]["reason"] == "night shift"
        assert audited("kek_run.resumed")[0]["user_id"] == "olga"

    def test_failed_rows_are_tried_again(self, console, make_run):
        run = make_run(state=State.FAILED, rows_failed=1)
        KEKRunFailure.objects.create(run=run, row_kind="payload", row_id="x", error="IntegrityFailed")

        self.steer(console, run, "retry")

        assert (run.state, run.rows_failed, run.failures.count()) == (State.QUEUED, 0, 0)

    def test_cancelled(self, console, make_run):
        run = make_run(state=State.PAUSED)

        self.steer(console, run, "cancel")

        assert run.state == State.CANCELLED

    def test_another_pace_is_audited_with_before_and_after(self, console, make_run, audited):
        run = make_run(rate=50.0)

        self.steer(console, run, "pace", rate="5", batch_rows="10")

        assert (run.rate, run.batch_rows) == (5, 10)
        (record,) = audited("kek_run.pace_set")
        assert record["before"] == {"rate": 50.0, "batch_rows": 100}
        assert record["after"] == {"rate": 5.0, "batch_rows": 10}

    def test_operators_steer_runs_of_pkeks_and_no_rewraps(self, console_of, make_run):
        console = console_of("operator")
        mine, officers = make_run(state=State.RUNNING), make_run(state=State.RUNNING, kind=Kind.REWRAP)

        assert self.steer(console, mine, "pause").status_code == 302
        self.steer(console, officers, "pause")
        assert self.steer(console, officers, "pause-rewrap").status_code == 403

        assert (mine.state, officers.state) == (State.PAUSED, State.RUNNING)

    def test_what_makes_no_sense_is_not_offered(self, console, make_run):
        done = make_run(state=State.DONE)

        assert console.get(detail_url(KEKRun, done.pk)).context["acts"] == []
        self.steer(console, done, "pause")
        assert done.state == State.DONE


class TestPageOfARun:
    @pytest.mark.parametrize(
        ("columns", "words"),
        [
            ({"state": State.QUEUED}, "waits for a worker"),
            ({"state": State.QUEUED, "last_error": "PoolExhausted"}, "away (PoolExhausted)"),
            ({"state": State.QUEUED, "created_at": -300}, "No worker has taken it for 5 min"),
            ({"state": State.RUNNING, "heartbeat_at": 0}, "It is at work"),
            ({"state": State.RUNNING, "heartbeat_at": -300}, "another worker goes on by itself"),
            ({"state": State.RUNNING, "heartbeat_at": -300, "by_workers": False}, "run the same command"),
            ({"state": State.PAUSED}, "resume it"),
            ({"state": State.FAILED, "rows_failed": 1}, "could not be done"),
            ({"state": State.FAILED, "last_error": "MemberUnavailable"}, "It gave up (MemberUnavailable)"),
            ({"state": State.DONE}, "nothing is sealed under former generations"),
            ({"state": State.CANCELLED}, "nothing is half done"),
        ],
    )
    def test_says_how_things_stand(self, console, make_run, columns, words):
        moments = {"created_at", "heartbeat_at"}
        now = timezone.now()
        run = make_run(
            **{
                name: now + timedelta(seconds=value) if name in moments else value
                for name, value in columns.items()
            }
        )

        assert words.lower() in live(console, run)["parts"]["notice"].lower()

    def test_numbers_follow_the_run(self, stored, console):
        start(console, "rotate")
        worked_on(KEKRun.objects.get())
        _, answer = start(console, "reencrypt")
        run = KEKRun.objects.get(kind=Kind.REENCRYPT)
        before = live(console, run)
        after = live(console, worked_on(run))

        assert (before["done"], before["left"], before["is_over"]) == (0, 4, False)
        assert (after["done"], after["left"], after["is_over"]) == (4, 0, True)
        assert "Done" in after["parts"]["state"]
        assert "4 of 4 rows done" in console.get(answer.url).content.decode()

    def test_failures_stand_row_by_row_with_what_to_do(self, stored, console):
        start(console, "rotate")
        worked_on(KEKRun.objects.get())
        broken = Payload.objects.order_by("id").first()
        Payload.objects.filter(id=broken.id).update(ciphertext=b"\x00" * 40)
        start(console, "reencrypt")
        run = worked_on(KEKRun.objects.get(kind=Kind.REENCRYPT))

        (row,) = console.get(detail_url(KEKRun, run.pk)).context["failures"].rows
        assert (run.state, run.rows_done, run.rows_failed) == (State.FAILED, 3, 1)
        assert broken.id in row.name
        assert broken.secret_id in row.url
        assert any("Restore the row from a backup" in cell.value for cell in row.cells)

    @pytest.mark.parametrize(("count", "words"), [(100, None), (1_234, "the newest 100 of 1,234")])
    def test_failures_that_are_left_out_are_counted(self, console, make_run, count, words):
        run = make_run(state=State.FAILED, rows_failed=count)
        KEKRunFailure.objects.bulk_create(
            KEKRunFailure(run=run, row_kind="payload", row_id=str(number), error="IntegrityFailed")
            for number in range(count)
        )

        page = console.get(detail_url(KEKRun, run.pk))
        refreshed = console.get(page.context["live_url"]).json()["parts"]["failures"]

        assert len(page.context["failures"].rows) == 100
        for html in (page.content.decode(), refreshed):
            assert ("These are the newest" in html) == (words is not None)
            assert words is None or words in html

    def test_hsm_away_is_said_and_over_when_it_is_back(self, stored, console, shim):
        start(console, "rotate")
        worked_on(KEKRun.objects.get())
        start(console, "reencrypt")
        run = KEKRun.objects.get(kind=Kind.REENCRYPT)
        shim.answer(0x30, "C_DecryptInit", times=50)
        held = runs.claim(run.id, runner=runner_name(), now=timezone.now())
        away = Execution(held, actor=runs.worker_of(held), slice_s=5).execute()
        assert "The HSM or the database was away" in notice(away)

        shim.clear()
        wait_until(lambda: all(member.state is MemberState.UP for member in hsm().status()))
        back = worked_on(run)
        assert (back.state, back.last_error) == (State.DONE, "")

    def test_asks_no_hsm(self, stored, console, make_run, shim):
        run = make_run()
        with shim.counting() as calls:
            console.get(list_url(KEKRun))
            console.get(detail_url(KEKRun, run.pk))
            live(console, run)

        assert not calls

    def test_strangers_and_those_without_permission_are_told_nothing(self, console_of, client, make_run):
        url = f"{detail_url(KEKRun, make_run().pk)}live/"

        assert client.get(url).status_code == 302
        assert console_of(None).get(url).status_code in {403, 404}
        assert console_of("viewer").get(url).status_code == 200


class TestLists:
    def test_mkeks_are_numbered_and_lead_to_what_they_wrap(self, stored, console, mkek):
        MKEK.objects.create(label="later", cka_id="ef" * 16, kcv="000000")

        rows = console.get(list_url(MKEK)).context["page"].table.rows

        cells = {row.name: {cell.heading.label: cell.value for cell in row.cells} for row in rows}
        assert cells["later"]["Generation"] == "2"
        assert f"mkek={mkek.id}" in cells[mkek.label]["pKEKs"]

    def test_pkeks_say_what_they_sealed(self, stored, console):
        rows = console.get(list_url(ProjectKEK, sealed="none")).context["page"].table.rows
        assert rows == ()

        page = console.get(list_url(ProjectKEK)).context["page"]

        assert {
            cell.value for row in page.table.rows for cell in row.cells if cell.heading.label == "Sealed"
        } == {"2"}

    def test_generations_of_a_project_stand_on_its_keys_page(self, stored, console):
        project = Project.objects.get(external_id="p1")
        start(console, "rotate", project="p1")
        worked_on(KEKRun.objects.get())

        old = ProjectKEK.objects.get(project=project, generation=1)
        sections = console.get(detail_url(ProjectKEK, old.pk)).context["page"].sections

        (timeline,) = (section.timeline for section in sections if section.timeline)
        assert ["Generation 2" in span.label for span in timeline] == [True, False]
