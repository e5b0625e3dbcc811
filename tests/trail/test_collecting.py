"""What nodes write into their audit files comes into the database, every line chained once."""

import os
import threading
from pathlib import Path

import pytest
from django.conf import settings as django_settings

from keepsite.trail.collecting import MAX_LINES, Collector, Copies, alone, keep_collecting
from keepsite.trail.models import AuditChain, AuditRecord
from tests.support.waiting import wait_until
from tests.trail.conftest import Node


class TestCollector:
    def test_copies_say_what_the_lines_say(self, node):
        node.write(project_id="p7", user_id=None, outcome=403)
        node.collect()

        copy = AuditRecord.objects.get()
        assert copy.line == (node.folder / "audit-20260131.jsonl").read_text().rstrip("\n")
        assert (copy.action, copy.subject, copy.project, copy.user) == ("payload.read", "secret:1", "p7", "")
        assert (copy.outcome, copy.request_id, copy.node) == ("403", "req-1", "api1")
        assert copy.at.isoformat() == "2026-01-31T12:00:01+00:00"

    def test_what_was_written_before_the_upgrade_begins_the_chain(self, node):
        node.write(2, day="20260130")
        node.write(2, day="20260131")
        os.utime(node.folder / "audit-20260130.jsonl", (0, 0))

        assert node.collect() == 2
        assert list(node.chain.segments.values_list("number", "file", "lines")) == [
            (1, "audit-20260130.jsonl", 2),
            (2, "audit-20260131.jsonl", 2),
        ]

    def test_a_file_just_written_is_not_left_for_the_next_day(self, node):
        node.write(1, day="20260130")
        node.write(1, day="20260131")
        node.collect()

        assert [segment.file for segment in node.chain.segments.all()] == ["audit-20260130.jsonl"]

    def test_a_restart_goes_on_where_it_was(self, node):
        node.write(3)
        node.collect()
        node.write(2)

        assert node.collect() == 1
        assert list(node.chain.segments.order_by("number").values_list("lines", flat=True)) == [3, 2]

    def test_half_a_line_waits_for_its_other_half(self, node):
        node.write()
        path = node.folder / "audit-20260131.jsonl"
        whole = path.read_bytes()
        path.write_bytes(whole + whole[:40])
        node.collect()
        with path.open("ab") as file:
            file.write(whole[40:])
        node.collect()

        assert [segment.lines for segment in node.chain.segments.order_by("number")] == [1, 1]
        assert node.findings() == []

    def test_segments_are_bounded(self, node):
        node.write(MAX_LINES + 1)

        assert node.collect() == 2
        assert AuditRecord.objects.count() == MAX_LINES + 1

    def test_a_line_that_is_none_of_ours_is_kept_as_it_is(self, node):
        node.write()
        with (node.folder / "audit-20260131.jsonl").open("ab") as file:
            file.write(b'{"at": "yesterday"}\n\xff\xfe\n[]\n{"at": "2026-01-31T12:00:00", "acts": 1}\n')
        node.collect()
        node.seal()

        assert AuditRecord.objects.filter(kind="unreadable").count() == 4
        assert node.findings() == []

    def test_nothing_new_costs_no_statement(self, node, django_assert_num_queries):
        node.write()
        collector = Collector(node.folder, node="api1", copies=Copies.ALL)
        while collector.collect():
            pass

        with django_assert_num_queries(0):
            assert collector.collect() == 0

    @pytest.mark.parametrize(("copies", "kept"), [("all", 3), ("acts", 2), ("operators", 1)])
    def test_all_lines_are_chained_and_the_wanted_ones_copied(self, mkek, tmp_path, copies, kept):
        node = Node(tmp_path / "n", copies=Copies(copies))
        node.write(acts=[])
        node.write()
        node.write(kind="act", action="mkek.activated", acts=[])
        node.collect()
        node.seal()

        assert node.chain.segments.get().lines == 3
        assert AuditRecord.objects.count() == kept
        assert node.findings() == []

    def test_a_file_cut_short_is_told(self, node, capsys):
        node.write(3)
        node.collect()
        os.truncate(node.folder / "audit-20260131.jsonl", 10)
        node.collect()

        assert AuditRecord.objects.count() == 3


class TestOneOfSeveral:
    def test_only_one_process_collects_a_folder(self, tmp_path):
        with alone(tmp_path) as first, alone(tmp_path) as second:
            assert (first, second) == (True, False)
        with alone(tmp_path) as third:
            assert third


@pytest.mark.django_db(transaction=True)
class TestKeepCollecting:
    def test_what_the_api_writes_arrives_by_itself(self, transactional_db, api, settings, tmp_path):
        settings.AUDIT_DIR = tmp_path / "audit"
        Node(tmp_path / "audit").write(2)
        stop = threading.Event()
        thread = threading.Thread(target=keep_collecting, args=(stop,))

        thread.start()
        wait_until(lambda: AuditRecord.objects.count() == 2)
        stop.set()
        thread.join()

        assert AuditChain.objects.get().node == django_settings.NODE_NAME
        assert Path(tmp_path / "audit" / "chain").exists()
