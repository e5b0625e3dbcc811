"""The audit pages: found by what an operator knows of it, exported, and verified."""

import csv
import json
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from keepsite.console.zones import COOKIE
from keepsite.identity.operators import command_principal
from keepsite.readonly import detail_url, list_url
from keepsite.schedule.models import ScheduledJob
from keepsite.trail import services
from keepsite.trail.collecting import Copies
from keepsite.trail.jobs import verify_chains
from keepsite.trail.models import AuditChain, AuditRecord
from keepsite.trail.retention import prune
from tests.console.pages import act_url
from tests.trail.conftest import Node


@pytest.fixture
def node(mkek, tmp_path):
    node = Node(tmp_path / "api1")
    node.write(2)
    node.write(outcome=403, acts=[], project_id="p2", user_id="spy", request_id="req-99")
    node.write(
        kind="act",
        acts=[],
        action="project_quota.set",
        subject="project:p9",
        outcome="done",
        method="console",
        project_id="-",
        user_id="=nadia",
        before={"secrets": None, "orders": 3},
        after={"secrets": 7, "orders": 3},
        reason="ticket 4711",
    )
    node.write(acts=[{"action": name, "subject": f"secret:{name}"} for name in ("a.one", "a.two")])
    node.copies = Copies.ALL
    node.collect()
    return node


def found(console, query):
    rows = console.get(f"{list_url(AuditRecord)}?{query}").context["cl"].result_list
    return {row.action for row in rows}


class TestRecords:
    @pytest.mark.parametrize(
        ("query", "actions"),
        [
            ("q=spy", {"GET /v1/secrets/3/payload"}),
            ("q=req-99", {"GET /v1/secrets/3/payload"}),
            ("q=project_quota.set", {"project_quota.set"}),
            ("what=operators", {"project_quota.set"}),
            ("what=console", {"project_quota.set"}),
            ("what=workers", set()),
            ("what=reads", {"payload.read"}),
            ("what=unreadable", set()),
            ("outcome=refused", {"GET /v1/secrets/3/payload"}),
            ("outcome=failed", set()),
            ("outcome=client", set()),
            ("outcome=done", {"payload.read", "project_quota.set", "a.one"}),
            ("project=p2", {"GET /v1/secrets/3/payload"}),
            ("when=week", set()),
            ("node=api2", set()),
        ],
    )
    def test_filters_and_search(self, node, console, query, actions):
        assert found(console, query) == actions

    @pytest.mark.parametrize(
        ("zone", "query", "written"),
        [
            ("UTC", "from=2026-03-28", {"late", "next"}),
            ("UTC", "to=2026-03-28", {"early", "late"}),
            ("UTC", "from=2026-03-28&to=2026-03-28", {"late"}),
            ("UTC", "from=&to=", {"early", "late", "next"}),
            ("Europe/Berlin", "from=2026-03-28&to=2026-03-28", {"early"}),
            ("Europe/Berlin", "from=2026-03-29&to=2026-03-29", {"late", "next"}),  # of 23 hours
            ("Europe/Berlin", "from=2026-03-29&what=reads", set()),
            ("UTC", "when=week&to=2026-03-28", set()),
        ],
    )
    def test_whole_days_of_the_operators_zone(self, node, console, zone, query, written):
        AuditRecord.objects.all().delete()
        times = {"early": "2026-03-27T23:30", "late": "2026-03-28T23:30", "next": "2026-03-29T21:59"}
        for action, at in times.items():
            node.write(kind="act", acts=[], action=action, subject="s", at=f"{at}:59.000000+00:00")
        node.collect()
        console.cookies[COOKIE] = zone

        assert found(console, query) == written
        assert f"A whole day in {zone}." in console.get(list_url(AuditRecord)).content.decode()
        exported = b"".join(console.get(f"{list_url(AuditRecord)}export/json/?{query}").streaming_content)
        assert {row["action"] for row in json.loads(exported)} == written

    @pytest.mark.parametrize(
        ("query", "words"),
        [
            ("from=31.1.2026", "“31.1.2026” is no day. Write it like 2026-01-31."),
            ("to=2026-02-30", "“2026-02-30” is no day."),
            ("to=20260131", "“20260131” is no day."),
            ("to=9999-12-31", "“9999-12-31” is no day."),
            ("from=%3Cb%3E", "“&lt;b&gt;” is no day."),
            ("from=2026-02-01&to=2026-01-31", "This day comes before the first one."),
        ],
    )
    def test_what_is_no_day_is_refused_and_not_exported(self, node, console, audited, query, words):
        page = console.get(f"{list_url(AuditRecord)}?{query}")
        assert words in page.content.decode()
        assert not page.context["cl"].result_list

        export = console.get(f"{list_url(AuditRecord)}export/csv/?{query}", follow=True)
        assert words in export.content.decode()
        assert not audited("auditrecord.exported")

    def test_an_id_or_a_ref_finds_what_was_done_to_the_object(self, node, console):
        secret = "5d4f0c5e-2f4b-4b1e-9a51-0a8f3c1d2e3f"
        node.write(acts=[{"action": "secret.deleted", "subject": f"secret:{secret}"}])
        node.collect()

        for wanted in (secret, f"https://keys.example/v1/secrets/{secret}"):
            assert found(console, f"q={wanted}") == {"secret.deleted"}

    def test_its_page_has_before_and_after_and_why(self, node, console):
        record = AuditRecord.objects.get(action="project_quota.set")

        page = console.get(detail_url(AuditRecord, record.pk)).content.decode()

        assert "ticket 4711" in page
        assert "Before" in page
        assert page.index("secrets") < page.index("orders")

    def test_its_page_has_everything_a_call_did(self, node, console):
        record = AuditRecord.objects.get(action="a.one")

        assert "a.two" in console.get(detail_url(AuditRecord, record.pk)).content.decode()

    def test_a_record_that_was_changed_says_so(self, node, console):
        record = AuditRecord.objects.get(action="project_quota.set")
        AuditRecord.objects.filter(pk=record.pk).update(line=record.line.replace("4711", "4712"))

        page = console.get(detail_url(AuditRecord, record.pk)).content.decode()
        assert "not what was collected" in page

    def test_a_line_that_is_no_record_has_a_page(self, node, console):
        with (node.folder / "audit-20260131.jsonl").open("a") as file:
            file.write("<script>\n")
        node.collect()
        record = AuditRecord.objects.get(kind="unreadable")

        assert "&lt;script&gt;" in console.get(detail_url(AuditRecord, record.pk)).content.decode()

    def test_exports_hold_the_whole_record_and_no_formula(self, node, console):
        as_csv, as_json = (
            b"".join(console.get(f"{list_url(AuditRecord)}export/{kind}/?what=operators")).decode()
            for kind in ("csv", "json")
        )

        (row,) = csv.DictReader(as_csv.splitlines())
        assert row["user"] == "'=nadia"
        (row,) = json.loads(as_json)
        assert json.loads(row["record"])["before"] == {"secrets": None, "orders": 3}


class TestChains:
    @pytest.mark.parametrize("state", ["whole", "broken", "unverified", "under_way"])
    def test_the_filter_tells_them_apart(self, db, console, state):
        now = timezone.now()
        AuditChain.objects.create(node="whole", verified_at=now)
        AuditChain.objects.create(node="broken", verified_at=now, findings=[{"number": 1, "words": "w"}])
        AuditChain.objects.create(node="unverified")
        AuditChain.objects.create(node="under_way", verified_at=now, findings=[1], pass_wanted_by="olga")

        rows = console.get(f"{list_url(AuditChain)}?state={state}").context["cl"].result_list

        also = {"broken": {"under_way"}}
        assert {row.node for row in rows} == {state} | also.get(state, set())


class TestVerify:
    def verify(self, console, chain):
        return console.post(act_url(AuditChain, "verify", chain.pk), {"reason": "tests"}, follow=True)

    def test_what_is_whole_is_said_to_be(self, node, console, audited):
        node.seal()

        page = self.verify(console, node.chain).content.decode()

        assert "Verified: nothing is missing, nothing was changed." in page
        assert node.chain.verified_by == "olga"
        (record,) = audited("audit_chain.verified")
        assert (record["subject"], record["reason"]) == (f"auditchain:{node.chain.id}", "tests")

    def test_what_is_not_is_named_with_its_record(self, node, console):
        node.seal()
        changed = AuditRecord.objects.filter(action="payload.read").first()
        AuditRecord.objects.filter(pk=changed.pk).update(user="nobody")

        page = self.verify(console, node.chain).content.decode()

        assert "is not whole: 1 findings" in page
        assert "is listed as what it does not say" in page
        assert detail_url(AuditRecord, changed.pk) in page

    def test_what_the_retention_removed_is_no_loss_and_stands_on_the_page(self, node, console):
        node.seal(timezone.now() - timedelta(days=100))
        node.write(2)
        node.collect()
        node.seal()
        prune(node.chain, days=90, actor=command_principal())

        page = self.verify(console, node.chain)

        assert "nothing is missing but what the retention removed" in page.content.decode()
        (last, *_) = page.context["page"].sections
        facts = {fact.label: fact for fact in last.facts}
        since = node.chain.segments.get().collected_at
        assert f"{since:%Y-%m-%d %H:%M:%S}" in facts["Whole since"].value
        assert facts["Removed on purpose"].note == (
            "By the retention of 90 days: all before “Whole since”, up to segment 1."
        )

    def test_a_long_one_is_left_to_a_worker_that_goes_on_where_it_stopped(self, node, console, monkeypatch):
        monkeypatch.setattr(services, "AT_ONCE_S", -1.0)
        monkeypatch.setattr("keepsite.trail.verifying.PAGE_SEGMENTS", 1)
        for _ in range(3):
            node.write()
            node.collect()
        node.seal()

        page = self.verify(console, node.chain).content.decode()
        assert "1 under way" in page
        assert (node.chain.pass_number, node.chain.verified_at) == (1, None)
        assert ScheduledJob.objects.filter(name="audit-verify").exists()

        assert verify_chains(time.monotonic() + 60)
        assert (node.chain.verified_by, node.chain.segments_verified) == ("olga", 4)
        assert node.chain.records_verified == AuditRecord.objects.count()
