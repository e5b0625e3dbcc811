"""Notices: raised once, told by e-mail and by signed webhook, repeated, acknowledged, resolved."""

import hashlib
import hmac
import json
import socketserver
import threading
import time
from datetime import timedelta
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.core import mail as django_mail
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from keepsite.approvals.models import ActRequest
from keepsite.fleet.models import NodeReport
from keepsite.identity.models import APIKey
from keepsite.identity.operators import command_principal
from keepsite.keyring.models import ProjectKEK
from keepsite.nodes.models import Node, Promotion
from keepsite.notices import services
from keepsite.notices.admin import KINDS
from keepsite.notices.checks import notice_limits_are_usable, webhook_is_usable
from keepsite.notices.finding import find
from keepsite.notices.jobs import forget_old_ones
from keepsite.notices.looking import SOURCES, look
from keepsite.notices.models import Message, Notice, Urgency
from keepsite.notices.sending import ATTEMPTS, pause_after, send_due
from keepsite.projects.models import Project, ProjectQuota
from keepsite.readonly import list_url
from keepsite.trail.models import AuditChain
from orders_app.keystone_events import clear_alarm
from orders_app.models import DeadLetter, Order, RetirementAlarm
from secrets_app.models import Secret
from tests.console.pages import act_url

SECRET = "of the webhook of these tests, 32 characters and more"
PLANTED = "payload-planted-for-the-notices-41c7"


@pytest.fixture
def project(db):
    return Project.objects.create(external_id="p1")


@pytest.fixture
def lost(db):
    """A node that is lost."""
    now = timezone.now()
    return Node.objects.create(name="api3", version="1", address="-", heartbeat_at=now, lost_at=now)


def run(now=None):
    """Look for causes; the open notices by kind."""
    find(now or timezone.now())
    return {notice.kind: notice for notice in Notice.objects.filter(open_marker=True)}


def events():
    return [(one["event"], one["text"]) for message in Message.objects.all() for one in message.events]


def send(now=None):
    return send_due(time.monotonic() + 30, now=now)


class Receiver:
    """A webhook's other end: answers what it is told to, and keeps what it was sent."""

    def __init__(self):
        self.answers, self.got = [], []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((self.path, dict(self.headers), body))
                self.send_response(receiver.answers.pop(0) if receiver.answers else 204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                """Say nothing on standard error."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}/hooks/token-in-the-path?to=ops"

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class Mailbox(socketserver.ThreadingTCPServer):
    """A mail server that takes everything, or is told to refuse.  Source: RFC 5321."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self):
        self.mails, self.refuses = [], False
        super().__init__(("127.0.0.1", 0), _MailSession)


class _MailSession(socketserver.StreamRequestHandler):
    def handle(self):
        self.say("220 tests")
        for line in self.rfile:
            verb = line.strip().upper()[:4]
            if verb == b"DATA":
                self.say("354 go on")
                lines = iter(self.rfile.readline, b".\r\n")
                self.server.mails.append(b"".join(lines).decode())
                self.say("250 taken")
            elif verb == b"QUIT":
                self.say("221 bye")
                return
            elif verb == b"RCPT" and self.server.refuses:
                self.say("451 try again later")
            else:
                self.say("250 tests")

    def say(self, line):
        self.wfile.write(f"{line}\r\n".encode())


@pytest.fixture
def webhook(settings):
    receiver = Receiver()
    settings.NOTICE_WEBHOOK_URL, settings.NOTICE_WEBHOOK_SECRET = receiver.url, SECRET
    settings.NOTICE_WEBHOOK_PLAIN = True
    yield receiver
    receiver.close()


@pytest.fixture
def mailbox(settings):
    """A real mail server, instead of the list that Django's test runner puts e-mails into."""
    server = Mailbox()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = server.server_address
    settings.NOTICE_EMAIL_TO = ["ops@example.org", "night@example.org"]
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


class TestCauses:
    def test_secrets_that_expire_make_one_notice_of_each_project(self, project):
        now = timezone.now()
        for days in (3, 9, 20):
            Secret.objects.create(project=project, name=PLANTED, expires_at=now + timedelta(days=days))

        notice = run(now)["secrets-expire"]

        assert notice.text == "2 secrets of project p1 expire within 14 days, the first in 3 days."
        assert PLANTED not in notice.text

    def test_what_expires_within_two_days_is_urgent(self, project):
        now = timezone.now()
        Secret.objects.create(project=project, name="a", expires_at=now + timedelta(days=9))
        assert run(now)["secrets-expire"].urgency == 2

        Secret.objects.update(expires_at=now + timedelta(hours=30))

        assert run(now)["secrets-expire"].urgency == 1

    def test_an_api_key_that_expires(self, project):
        now = timezone.now()
        for number, days in enumerate((5, 40, None)):
            ends_at = days and now + timedelta(days=days)
            APIKey.objects.create(name=f"k{number}", project=project, sha256=f"{number}", expires_at=ends_at)

        assert run(now)["api-key-expires"].text == "The API key k0 of project p1 expires in 5 days."
        assert Notice.objects.count() == 1

    def test_pkeks_that_are_due(self, api):
        api.post("/v1/secrets", {"name": "a", "payload": "x", "payload_content_type": "text/plain"})
        ProjectKEK.objects.update(due_at=timezone.now())

        assert run()["pkeks-due"].text.startswith("1 pKEK is due to be rotated")

    @pytest.mark.parametrize(("used", "urgency"), [(8, None), (9, 2), (10, 1)])
    def test_a_quota_of_which_most_is_used(self, project, used, urgency):
        ProjectQuota.objects.create(project=project, secrets=10, orders=0, containers=-1)
        Secret.objects.bulk_create(Secret(project=project, name="s") for _ in range(used))
        Order.objects.create(project=project, type="key", meta={}, status=Order.Status.ACTIVE)

        notice = run().get("quota-near")

        assert (notice and notice.urgency) == urgency

    def test_the_deployments_quota_holds_for_projects_without_one(self, project, settings):
        settings.QUOTAS = settings.QUOTAS | {"secrets": 2}
        Secret.objects.bulk_create(Secret(project=project, name="s") for _ in range(2))

        assert run()["quota-near"].text == "Project p1 has 2 secrets of the 2 it may have."

    def test_an_hsm_member_that_some_process_cannot_use(self, mkek):
        told = {"in_flight": 0, "sessions": 1, "keys": 1, "errors": {}, "last_canary_at": None, "minutes": []}
        now = timezone.now()
        NodeReport.objects.create(node="n1", told_at=now, began_at=now)
        NodeReport.objects.update(members={"a": told | {"states": {"up": 3, "down": 1}}})

        assert run()["hsm-member-down"].text == "The HSM member a is down for 1 of 4 processes."

        NodeReport.objects.update(members={"a": told | {"states": {"up": 4}}})
        assert "hsm-member-down" not in run()

    def test_everything_else(self, project, lost):
        now = timezone.now()
        long_ago = now - timedelta(hours=1)
        Order.objects.create(project=project, type="key", meta={}, created_at=long_ago)
        DeadLetter.objects.create(id="1", state=DeadLetter.State.KEPT, headers={}, body=b"", size_bytes=0)
        Promotion.objects.create(state=Promotion.State.STOPPED, started_by="o", reason="r", problem="No.")
        AuditChain.objects.create(node="api1", findings=[{"number": 1, "words": "w"}])
        asked = {"noun": "projects.project", "act": "suspend", "title": "Suspend p1", "requested_by": "anna"}
        ActRequest.objects.create(**asked, expires_at=now + timedelta(hours=1))
        ActRequest.objects.create(**asked, expires_at=now, state=ActRequest.State.DONE)
        Message.objects.create(channel="email", state=Message.State.GIVEN_UP, ended_at=now)
        RetirementAlarm.objects.create(id="1", detail="100 projects retired within an hour; the next is p2")

        assert run(now).keys() == {
            "orders-stuck", "dead-letters", "node-lost", "promotion-stopped", "audit-not-whole",
            "approval-waiting", "emergency", "messages-given-up", "retirements-stopped",
        }  # fmt: skip

    def test_retirements_are_stopped_until_the_alarm_is_cleared(self, console, db, webhook):
        RetirementAlarm.objects.create(id="1", detail="100 projects retired within an hour; the next is p2")

        notice = run()["retirements-stopped"]

        assert "100 projects" in notice.text
        assert notice.urgency == Urgency.NOW
        assert console.get(notice.path).status_code == 200
        clear_alarm(actor=command_principal(), reason="they were meant")
        assert "retirements-stopped" not in run()
        assert [event for event, _ in events()] == ["raised", "resolved"]

    def test_each_kind_has_its_words_and_advice(self):
        assert SOURCES.keys() == KINDS.keys()

    def test_looking_takes_a_statement_or_so_for_each_kind(self, project, mkek):
        ProjectQuota.objects.create(project=project, secrets=10, orders=5, containers=5, consumers=5)
        Secret.objects.bulk_create(Secret(project=project, name="s") for _ in range(300))

        with CaptureQueriesContext(connection) as queries:
            look(timezone.now())

        assert len(queries) == 20


class TestLife:
    def test_is_raised_once_and_resolved_when_its_cause_is_gone(self, lost, webhook):
        now = timezone.now()
        for minute in range(3):
            run(now + timedelta(minutes=minute))
        lost.delete()
        run(now + timedelta(minutes=3))

        text = Notice.objects.get().text
        assert events() == [("raised", text), ("resolved", text)]
        assert Notice.objects.get().resolved_at == now + timedelta(minutes=3)

    def test_the_same_again_is_another_notice(self, lost, webhook):
        run()
        Node.objects.update(lost_at=None)
        run()
        Node.objects.update(lost_at=timezone.now())
        run()

        assert [what for what, _ in events()] == ["raised", "resolved", "raised"]

    def test_is_repeated_after_a_day_until_acknowledged(self, lost, webhook, console):
        now = timezone.now()
        for hours in (0, 23, 25, 30):
            run(now + timedelta(hours=hours))
        assert [what for what, _ in events()] == ["raised", "repeated"]

        console.post(act_url(Notice, "acknowledge", Notice.objects.get().pk), {"reason": "on my way"})
        run(now + timedelta(hours=99))

        assert [what for what, _ in events()] == ["raised", "repeated"]
        assert services.open_notices().total == 0

    def test_is_told_again_when_it_gets_worse(self, project, webhook):
        now = timezone.now()
        Secret.objects.create(project=project, name="a", expires_at=now + timedelta(days=3))
        run(now)
        run(now + timedelta(hours=1))

        run(now + timedelta(hours=30))

        assert [what for what, _ in events()] == ["raised", "worsened"]

    def test_what_cannot_be_looked_at_stays_as_it_is(self, lost, monkeypatch):
        from keepsite.errors import Unavailable

        run()

        def away(_now):
            raise Unavailable

        monkeypatch.setitem(SOURCES, "node-lost", away)
        run()

        assert Notice.objects.get().open_marker

    def test_nothing_is_written_where_nothing_changed(self, lost):
        run()

        with CaptureQueriesContext(connection) as queries:
            run()

        assert [q["sql"] for q in queries if not q["sql"].startswith("SELECT")] == []

    def test_old_ones_are_removed(self, lost):
        now = timezone.now()
        run()
        Notice.objects.create(key="k", kind="node-lost", text="t", open_marker=None, resolved_at=now)
        Notice.objects.filter(key="k").update(resolved_at=now - timedelta(days=91))

        forget_old_ones(0)

        assert [notice.kind for notice in Notice.objects.all()] == ["node-lost"]


class TestAcknowledging:
    def test_stands_in_the_trail(self, lost, console, audited):
        run()
        console.post(act_url(Notice, "acknowledge", Notice.objects.get().pk), {"reason": "on my way"})

        notice = Notice.objects.get()
        assert (notice.acknowledged_by, notice.acknowledgement_reason) == ("olga", "on my way")
        (record,) = audited("notice.acknowledged")
        assert (record["user_id"], record["reason"]) == ("olga", "on my way")
        page = console.get(list_url(Notice, state="acknowledged")).content.decode()
        assert "api3" in page

    def test_twice_is_refused(self, lost):
        run()
        call_command("notices", "acknowledge", Notice.objects.get().pk, "--reason", "r")

        with pytest.raises(CommandError, match="already"):
            call_command("notices", "acknowledge", Notice.objects.get().pk, "--reason", "r")


class TestOpenNotices:
    def test_the_most_urgent_come_first_in_one_statement(self, project, lost):
        now = timezone.now()
        Secret.objects.create(project=project, name="a", expires_at=now + timedelta(days=9))
        run(now)

        with CaptureQueriesContext(connection) as queries:
            found = services.open_notices(limit=1)

        assert len(queries) == 1
        assert ([notice.kind for notice in found.shown], found.total, found.urgent) == (["node-lost"], 2, 1)

    def test_the_overview_shows_them(self, lost, console):
        run()

        html = console.get("/admin/").content.decode()

        assert "The node api3 has sent no heartbeat" in html
        assert list_url(Notice, state="open") in html

    def test_none(self, console):
        assert services.open_notices() == services.OpenNotices(shown=(), total=0, urgent=0)
        assert "Nothing needs anybody" in unescape(console.get("/admin/").content.decode())


class TestWebhook:
    def test_is_signed_over_timestamp_and_body(self, lost, webhook, settings):
        settings.HOST_HREF = "https://keys.example"
        run()
        assert send()

        ((path, headers, body),) = webhook.got
        signed = headers["Keepsite-Timestamp"].encode() + b"." + body
        mac = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
        assert headers["Keepsite-Signature"] == f"v1={mac}"
        assert abs(time.time() - int(headers["Keepsite-Timestamp"])) < 60
        assert path == "/hooks/token-in-the-path?to=ops"
        told = json.loads(body)
        assert (told["version"], told["id"]) == (1, headers["Keepsite-Delivery"])
        (event,) = told["events"]
        assert (event["event"], event["kind"], event["urgency"]) == ("raised", "node-lost", "now")
        assert event["url"] == "https://keys.example/admin/nodes/node/api3/"

    def test_is_tried_again_later_and_later_under_the_same_id(self, lost, webhook):
        webhook.answers = [500, 302]
        now = timezone.now()
        run(now)

        send(now)
        send(now + timedelta(seconds=59))
        assert len(webhook.got) == 1
        send(now + timedelta(seconds=61))
        message = Message.objects.get()
        assert (message.attempts, message.last_error) == (2, "answered 302")
        send(now + timedelta(minutes=10))

        message.refresh_from_db()
        assert (message.state, message.attempts) == ("sent", 3)
        assert len({headers["Keepsite-Delivery"] for _, headers, _ in webhook.got}) == 1

    def test_is_given_up_at_last_and_that_is_a_notice(self, lost, webhook):
        now = timezone.now()
        run(now)
        webhook.close()
        for _ in range(ATTEMPTS + 1):
            now += timedelta(hours=2)
            send(now)

        message = Message.objects.get()
        assert (message.state, message.attempts) == ("given_up", ATTEMPTS)
        assert message.last_error == "not reached: ConnectionRefusedError"
        assert "messages-given-up" in run(now)
        webhook.server.server_close = webhook.server.shutdown = lambda: None

    def test_waits_double_up_to_an_hour(self):
        assert [pause_after(n).total_seconds() / 60 for n in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]

    def test_no_token_of_its_url_and_no_secret_is_written_anywhere(self, lost, webhook, console, capsys):
        webhook.answers = [500]
        run()
        send()

        page = console.get(list_url(Message)).content.decode()
        kept = json.dumps([list(map(str, row)) for row in Message.objects.values_list()])
        said = "".join(capsys.readouterr())
        for hidden in ("token-in-the-path", SECRET):
            assert hidden not in page + kept + said


class TestEMail:
    def test_is_taken_by_a_mail_server(self, lost, mailbox, settings):
        settings.HOST_HREF = "https://keys.example"
        run()
        assert send()

        (mail,) = mailbox.mails
        assert "Subject: [Keepsite] raised: The node api3 has sent no heartbeat since" in mail
        assert "To: ops@example.org, night@example.org" in mail
        assert "https://keys.example/admin/nodes/node/api3/" in mail
        assert Message.objects.get().state == "sent"

    def test_is_tried_again_when_the_server_refuses(self, lost, mailbox):
        mailbox.refuses = True
        now = timezone.now()
        run(now)
        send(now)
        message = Message.objects.get()
        assert (message.state, message.last_error) == ("waiting", "not sent: SMTPRecipientsRefused")

        mailbox.refuses = False
        send(now + timedelta(minutes=2))

        assert len(mailbox.mails) == 1

    def test_a_name_with_line_ends_adds_no_header(self, project, settings):
        settings.NOTICE_EMAIL_TO = ["ops@example.org"]
        now = timezone.now()
        name = "k\r\nBcc: spy@example.org"
        APIKey.objects.create(name=name, project=project, sha256="1", expires_at=now + timedelta(days=1))
        run(now)
        send(now)

        (mail,) = django_mail.outbox
        assert "\n" not in mail.subject
        assert "Bcc" not in mail.message()

    def test_many_events_share_an_e_mail(self, project, settings):
        settings.NOTICE_EMAIL_TO = ["ops@example.org"]
        now = timezone.now()
        for number in range(3):
            APIKey.objects.create(
                name=f"k{number}", project=project, sha256=f"{number}", expires_at=now + timedelta(days=1)
            )
        run(now)
        send(now)

        (mail,) = django_mail.outbox
        assert mail.subject.endswith("(and 2 more)")
        assert mail.body.count("raised: The API key") == 3


class TestCommand:
    def test_lists_as_text_and_json(self, lost, capsys):
        call_command("notices", "find")
        call_command("notices", "list")
        assert "The node api3" in capsys.readouterr().out
        call_command("notices", "list", "--json")

        assert json.loads(capsys.readouterr().out)[0]["kind"] == "node-lost"

    def test_tries_each_channel(self, db, webhook, mailbox, capsys):
        call_command("notices", "test")

        assert json.loads(webhook.got[0][2])["events"][0]["event"] == "test"
        assert "A test: notices arrive here." in mailbox.mails[0]
        webhook.answers = [403]
        with pytest.raises(CommandError, match="Not sent by webhook"):
            call_command("notices", "test")
        assert "answered 403" in capsys.readouterr().err

    def test_without_a_channel_it_says_so(self, db):
        with pytest.raises(CommandError, match="No channel is set up"):
            call_command("notices", "test")


class TestSettings:
    @pytest.mark.parametrize(
        ("url", "secret", "plain", "problem"),
        [
            ("https://ops.example/hook", SECRET, False, None),
            ("http://ops.example/hook", SECRET, True, None),
            ("http://ops.example/hook", SECRET, False, "not https"),
            ("ops.example/hook", SECRET, False, "no http or https URL"),
            ("https://ops.example/hook", "short", False, "fewer than 32"),
        ],
    )
    def test_a_webhook_is_https_and_has_a_secret(self, settings, url, secret, plain, problem):
        settings.NOTICE_WEBHOOK_URL, settings.NOTICE_WEBHOOK_SECRET = url, secret
        settings.NOTICE_WEBHOOK_PLAIN = plain

        found = webhook_is_usable(None)

        assert [problem in error.msg for error in found] == ([True] if problem else [])
        assert secret not in str(found)

    def test_numbers_that_make_no_sense(self, settings):
        settings.NOTICE_EXPIRY_DAYS, settings.NOTICE_QUOTA_PERCENT, settings.NOTICE_REPEAT_H = 0, 101, -1

        assert len(notice_limits_are_usable(None)) == 3
