"""What is older than the retention goes, the rest proves whole, and no other deletion passes for one."""

import json
import os
import time
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from structlog.testing import capture_logs

from keepsite import audit
from keepsite.audit import files
from keepsite.errors import InvalidInput, NotAllowed, Unavailable
from keepsite.identity.operators import command_principal
from keepsite.identity.principal import Principal
from keepsite.trail import elsewhere, removals, removing, retention
from keepsite.trail.checks import retention_is_usable
from keepsite.trail.files import verify_files
from keepsite.trail.jobs import FINISH_EVERY_S, LEFT_BEHIND, finish_removals, prune_chains
from keepsite.trail.models import AuditCheckpoint, AuditRecord, AuditRemoval, AuditSegment
from keepsite.trail.removals import Removal
from keepsite.trail.sealing import ChainBrokenError
from keepsite.trail.services import go_on, set_backs
from keepsite.trail.verifying import REMOVED_WITHIN, Check
from tests.trail.conftest import Node
from tests.trail.test_commands import verify
from tests.trail.test_verifying import change, gone, record

HOUR = timedelta(hours=1.1)
DAYS = 90
ACTOR = command_principal()


def live(node, hours, *, since):
    """Hours of records, each sealed when it was over; the last one's checkpoint is the newest."""
    for hour in range(hours):
        node.write(3)
        node.collect()
        node.seal(since + hour * HOUR)


def prune(node, *, days=DAYS, now=None, **options):
    clock = (lambda: now) if now else timezone.now
    return retention.prune(node.chain, days=days, actor=ACTOR, **{"clock": clock} | options)


def numbers(rows):
    return sorted(rows.values_list("number", flat=True))


@pytest.fixture
def aged(node):
    """Segments 1 to 4 and their checkpoints are a hundred days old, 5 and 6 of today."""
    live(node, 4, since=timezone.now() - timedelta(days=100))
    live(node, 2, since=timezone.now() - 2 * HOUR)
    return node


@pytest.fixture
def unwritable(settings, tmp_path):
    """From when it is called: the audit folder has become a file, so nothing can be written below it."""
    (tmp_path / "file").write_text("")

    def begin():
        settings.AUDIT_DIR = tmp_path / "file" / "audit"
        files.audit_file.cache_clear()

    yield begin
    files.audit_file.cache_clear()


@pytest.fixture
def pruned(aged):
    assert prune(aged)
    return aged


class TestPrune:
    def test_what_is_older_goes_and_the_rest_is_whole_since_then(self, aged, audited):
        began_at = aged.chain.began_at
        assert prune(aged)

        verdict = aged.verify()
        assert verdict.is_whole
        assert began_at < verdict.whole_since == aged.chain.segments.get(number=5).collected_at
        assert (verdict.segments, verdict.records) == (2, 6)
        assert (verdict.removal.number, verdict.removal.days, verdict.removal.records) == (4, DAYS, 12)
        assert numbers(aged.chain.segments) == [5, 6]
        assert numbers(aged.chain.checkpoints) == [4, 5, 6]
        assert AuditRecord.objects.count() == 6
        (told,) = audited("audit_chain.pruned")
        assert told["reason"].startswith("retention of 90 days: sealed before ")
        assert told["before"]["first_segment"] == 1
        assert told["after"]["first_segment"] == 5
        assert (told["after"]["segments_removed"], told["after"]["records_removed"]) == (4, 12)

    def test_what_is_not_old_enough_stays(self, aged, audited):
        assert prune(aged, days=101)
        assert prune(aged, days=0)

        assert numbers(aged.chain.segments) == [1, 2, 3, 4, 5, 6]
        assert not AuditRemoval.objects.exists()
        assert not audited("audit_chain.pruned")

    def test_days_later_it_goes_on_from_there(self, pruned):
        later = timezone.now() + timedelta(days=DAYS, hours=2)
        pruned.write(2)
        pruned.collect()
        pruned.seal(later)

        assert prune(pruned, now=later)

        verdict = pruned.verify(later)
        assert verdict.is_whole
        assert (verdict.removal.number, verdict.removal.records) == (6, 18)
        assert numbers(pruned.chain.segments) == [7]

    def test_a_chain_that_fell_silent_keeps_its_last_hour(self, node):
        live(node, 3, since=timezone.now() - timedelta(days=100))

        assert prune(node)

        assert numbers(node.chain.segments) == [3]
        assert node.findings() == []

    def test_collecting_goes_on_where_it_was(self, pruned):
        pruned.write(2)

        assert pruned.collect() == 1
        assert numbers(pruned.chain.segments) == [5, 6, 7]
        pruned.seal()
        assert pruned.findings() == []

    def test_large_ones_go_step_by_step(self, aged, monkeypatch, audited):
        monkeypatch.setattr(retention, "STEP_LINES", 5)

        assert prune(aged)

        assert [told["after"]["first_segment"] for told in audited("audit_chain.pruned")] == [3, 5]
        assert aged.verify().removal.records == 12

    def test_none_looks_further_than_its_lines_may_reach(self, aged, monkeypatch):
        monkeypatch.setattr(retention, "STEP_LINES", 5)

        with CaptureQueriesContext(connection) as queries:
            assert retention._number_within_a_step(aged.chain) == 2

        assert queries[-1]["sql"].endswith("LIMIT 6")  # a MySQL driver fetches whatever a query finds

    def test_each_step_is_sealed_with_its_own_moment(self, aged, monkeypatch):
        monkeypatch.setattr(retention, "STEP_LINES", 5)
        began_at = timezone.now().replace(microsecond=0) - timedelta(hours=5)
        moments, seen = (began_at + hour * timedelta(hours=2) for hour in count()), []

        prune(
            aged,
            clock=moments.__next__,
            told=lambda _: seen.append(AuditRemoval.objects.get().removed_at),
        )

        assert seen == [began_at + timedelta(hours=2), began_at + timedelta(hours=4)]
        assert aged.findings() == []

    def test_a_transaction_has_no_more_rows_than_allowed(self, aged, monkeypatch):
        monkeypatch.setattr(removing, "BATCH_ROWS", 8)  # a segment has four rows
        batches = []

        prune(aged, told=batches.append)

        assert batches == [2, 2]

    def test_one_too_large_for_a_task_is_left_to_the_command(self, aged):
        with capture_logs() as logs:
            assert prune(aged, most_lines=11)

        assert [line["event"] for line in logs] == ["audit.removal_left_to_command"]
        assert numbers(aged.chain.segments) == [1, 2, 3, 4, 5, 6]

    def test_it_outlives_its_keys(self, pruned):
        from tests.keyring.rotation.test_reencrypt import REENCRYPT, ROTATE, run_to_its_end

        old = AuditRemoval.objects.get().pkek_id
        run_to_its_end(ROTATE)
        run_to_its_end(REENCRYPT)

        assert AuditRemoval.objects.get().pkek_id != old
        assert pruned.findings() == []

    def test_only_operators_and_workers_may(self, aged):
        admin = Principal(project_id="p1", user_id="u1", roles=frozenset({"admin"}), method="local")

        with pytest.raises(NotAllowed):
            retention.prune(aged.chain, days=DAYS, actor=admin)
        assert numbers(aged.chain.segments) == [1, 2, 3, 4, 5, 6]


class TestKilled:
    @pytest.fixture
    def half_done(self, aged, monkeypatch, audited):
        """Two of four segments are gone, as after a kill."""
        monkeypatch.setattr(removing, "BATCH_ROWS", 8)
        assert not prune(aged, is_enough=lambda: aged.chain.segments.count() < 6)
        assert numbers(aged.chain.segments) == [3, 4, 5, 6]
        return aged

    def test_it_is_whole_meanwhile(self, half_done):
        assert half_done.findings() == []

    @pytest.mark.parametrize("days", [DAYS, 0], ids=["with", "without retention by now"])
    def test_the_next_run_brings_it_to_its_end(self, half_done, days, audited):
        assert prune(half_done, days=days)

        assert numbers(half_done.chain.segments) == [5, 6]
        first, second = audited("audit_chain.pruned")
        assert (first["after"]["records_removed"], second["after"]["records_removed"]) == (12, 6)
        assert second["reason"].endswith("the rest of a removal that was interrupted")
        assert half_done.findings() == []

    def test_what_was_left_long_ago_is_finished_before_it_counts_as_not_removed(self, half_done):
        assert finish_removals(time.monotonic() + 60)
        assert numbers(half_done.chain.segments) == [3, 4, 5, 6]  # somebody may be at it
        later = AuditRemoval.objects.get().removed_at - timedelta(hours=2)
        store(half_done, replace(removals.removal_of(half_done.chain), removed_at=later.isoformat()))
        assert any("2 of them are still there" in words for words in half_done.findings())

        assert finish_removals(time.monotonic() + 60)

        assert numbers(half_done.chain.segments) == [5, 6]
        assert half_done.findings() == []

    def test_the_time_for_that_suffices(self):
        assert LEFT_BEHIND + timedelta(seconds=FINISH_EVERY_S) < REMOVED_WITHIN / 2

    def test_with_nothing_left_behind_it_nothing_more_goes(self, half_done, tmp_path, settings, audited):
        settings.AUDIT_RETENTION_DAYS = DAYS
        other = Node(tmp_path / "api2", name="api2")
        live(other, 3, since=timezone.now() - timedelta(days=100))
        before = len(audited("audit_chain.pruned"))
        for rows in (
            AuditRecord.objects.filter(segment__chain=half_done.chain, segment__number__gt=4),
            half_done.chain.segments.filter(number__gt=4),
            half_done.chain.checkpoints.filter(number__gt=4),
        ):
            gone(rows)

        with capture_logs() as logs:
            assert prune_chains(time.monotonic() + 60)

        (line,) = (line for line in logs if line["log_level"] == "critical")
        assert line["finding"] == "api1: nothing is left behind segment 4"
        assert numbers(half_done.chain.segments) == [3, 4]
        assert numbers(other.chain.segments) == [3]
        assert len(audited("audit_chain.pruned")) == before + 1

    def test_of_two_at_once_one_decides(self, aged):
        stale = retention._next_step(aged.chain, None, days=DAYS, now=timezone.now())
        assert prune(aged)

        again = {"days": DAYS, "clock": timezone.now, "is_enough": lambda: False}
        assert retention._decide(aged.chain, None, stale, **again) is None
        assert aged.findings() == []


@pytest.mark.parametrize("wanted", [audit.REFUSE, audit.ANSWER])
class TestUnwritable:
    """What is not recorded is not removed, whatever calls are answered."""

    def test_nothing_is_decided_without_a_folder(self, aged, unwritable, settings, wanted):
        settings.AUDIT_IF_UNWRITABLE = wanted
        unwritable()

        with pytest.raises(Unavailable):
            prune(aged)

        assert numbers(aged.chain.segments) == [1, 2, 3, 4, 5, 6]
        assert not AuditRemoval.objects.exists()

    def test_nothing_goes_while_the_disk_is_full(self, aged, settings, wanted, monkeypatch):
        settings.AUDIT_IF_UNWRITABLE = wanted
        files.audit_file().open()

        with monkeypatch.context() as patched, Path("/dev/full").open("wb") as full:
            patched.setattr(files.audit_file(), "_descriptor", full.fileno())
            with pytest.raises(Unavailable):
                prune(aged)
        assert numbers(aged.chain.segments) == [1, 2, 3, 4, 5, 6]
        assert aged.findings() == []

        assert prune(aged)
        assert numbers(aged.chain.segments) == [5, 6]
        assert aged.findings() == []


class TestWhileVerifying:
    def test_a_verification_under_way_passes_over_what_goes(self, aged, monkeypatch):
        monkeypatch.setattr("keepsite.trail.verifying.PAGE_SEGMENTS", 2)
        chain = aged.chain
        assert not go_on(chain, deadline=0, now=timezone.now(), known={})
        assert chain.pass_number == 2

        prune(aged)

        while not go_on(aged.chain, deadline=0, now=timezone.now(), known=set_backs()):
            pass
        assert aged.chain.findings == []
        assert aged.chain.segments_verified == 2

    def test_also_what_goes_while_a_page_is_read(self, aged, monkeypatch):
        follow, calls = Check._follow_removal, []

        def prune_first(check):
            calls.append(check)
            if len(calls) == 1:
                AuditRecord.objects.filter(segment__number=1).delete()  # seen missing by who reads now
                monkeypatch.setattr(Check, "_follow_removal", follow)
                prune_without_check(aged)
            follow(check)

        def prune_without_check(node):
            last = node.chain.segments.get(number=4)
            store(node, removal_at(node, 4))
            gone(AuditRecord.objects.filter(segment__number__lte=4))
            gone(AuditSegment.objects.filter(number__lte=last.number))
            gone(AuditCheckpoint.objects.filter(number__lt=last.number))

        monkeypatch.setattr(Check, "_follow_removal", prune_first)

        assert aged.findings() == []


def removal_at(node, number, *, days=DAYS, at=None, sealed_until=6):
    """As whoever has the HSM's PIN could have it sealed."""
    segment = node.chain.segments.get(number=number)
    return Removal(
        chain_id=node.chain.id,
        number=number,
        digest=segment.digest,
        file=segment.file,
        end=segment.end,
        days=days,
        removed_at=(at or timezone.now()).isoformat(timespec="seconds"),
        sealed_until=sealed_until,
        records=0,
    )


def store(node, removal):
    columns = removals.columns_of(removal, removals.seal(removal))
    AuditRemoval.objects.update_or_create(chain=node.chain, defaults=columns)


def delete_until(node, number):
    """As somebody at the database's own prompt would have it look like the retention's work."""
    gone(AuditRecord.objects.filter(segment__chain=node.chain, segment__number__lte=number))
    gone(AuditSegment.objects.filter(chain=node.chain, number__lte=number))
    gone(AuditCheckpoint.objects.filter(chain=node.chain, number__lt=number))


class TestWhatDoesNotPassForIt:
    def test_a_deletion_by_hand(self, aged):
        delete_until(aged, 4)

        assert "Segments 1 to 4 are missing: all their records were deleted." in aged.findings()

    def test_one_with_a_claim_that_nobody_sealed(self, aged):
        claim = removal_at(aged, 4)
        sealed = removals.seal(claim)
        columns = removals.columns_of(claim, sealed) | {"ciphertext": bytes(len(sealed.ciphertext))}
        AuditRemoval.objects.create(chain=aged.chain, **columns)
        delete_until(aged, 4)

        findings = aged.findings()
        assert "Segments 1 to 4 are missing: all their records were deleted." in findings
        assert any("was not sealed by this HSM" in words for words in findings)
        with pytest.raises(ChainBrokenError, match="not sealed by this HSM"):
            prune(aged)

    def test_one_with_another_chains_claim(self, pruned, tmp_path):
        other = Node(tmp_path / "api2", name="api2")
        live(other, 6, since=timezone.now() - timedelta(days=100))
        theirs = AuditRemoval.objects.get(chain=pruned.chain)
        theirs.pk, theirs.chain = other.chain.pk, other.chain
        theirs.save(force_insert=True)
        delete_until(other, 4)

        assert any("was not sealed by this HSM" in words for words in other.findings())
        assert pruned.findings() == []

    def test_one_with_a_checkpoint_in_place_of_a_claim(self, aged):
        checkpoint = aged.chain.checkpoints.get(number=4)
        same = ("pkek_id", "format", "iv", "ciphertext", "size_bytes", "number")
        AuditRemoval.objects.create(
            chain=aged.chain,
            removed_at=timezone.now(),
            days=DAYS,
            **{name: getattr(checkpoint, name) for name in same},
        )
        delete_until(aged, 4)

        assert any("was not sealed by this HSM" in words for words in aged.findings())

    def test_one_that_goes_further_than_the_claim(self, pruned):
        delete_until(pruned, 5)

        assert "Segment 5 is missing: all their records were deleted." in pruned.findings()

    def test_one_whose_claim_was_moved_forward(self, pruned):
        delete_until(pruned, 5)
        AuditRemoval.objects.update(number=5)

        findings = pruned.findings()
        assert any("was not sealed by this HSM" in words for words in findings)
        assert any("are missing" in words for words in findings)

    def test_one_whose_claim_is_gone(self, pruned):
        gone(AuditRemoval.objects.all())

        assert "Segments 1 to 4 are missing: all their records were deleted." in pruned.findings()

    @pytest.mark.parametrize(
        ("number", "words"),
        [(4, "The checkpoint at segment 4 was deleted."), (5, "The checkpoint at segment 5 was deleted.")],
        ids=["the one it ends at", "a later one"],
    )
    def test_a_deleted_checkpoint(self, pruned, number, words):
        gone(pruned.chain.checkpoints.filter(number=number))

        assert words in pruned.findings()

    def test_a_changed_record_behind_it(self, pruned):
        change(record(pruned, 5, 1), user="somebody else")

        (words,) = pruned.findings()
        assert words.startswith("Record 2 of 3 in segment 5 is listed as what it does not say")

    def test_records_put_back_in_its_place(self, pruned, audited):
        kept = pruned.chain.segments.get(number=5)
        copies = list(kept.records.all())
        kept.pk, kept.number = AuditRemoval.objects.get().pk, 3
        kept.save(force_insert=True)
        for copy in copies:
            copy.pk, copy.segment = f"{copy.pk[:-4]}ffff", kept
            copy.save(force_insert=True)

        (words,) = pruned.findings()
        assert words == (
            "Segments up to 4 were removed by the retention, yet 1 of them are still there:"
            " put back, or not removed after all."
        )
        with capture_logs() as logs:
            prune(pruned)  # its next run takes them away, and says so

        assert numbers(pruned.chain.segments) == [5, 6]
        (line,) = (line for line in logs if line["log_level"] == "critical")
        assert (line["event"], line["segments"], line["records"]) == ("audit.put_back_removed", 1, 3)
        (told,) = audited("audit_chain.pruned")
        assert told["reason"].endswith("put back after it was removed")

    @pytest.mark.parametrize("column", ["removed_at", "days"])
    def test_another_date_or_rule_beside_the_seal(self, pruned, column):
        other = {"removed_at": timezone.now() - timedelta(days=20), "days": 365}[column]
        AuditRemoval.objects.update(**{column: other})

        (words,) = pruned.findings()
        assert "when, or by which retention, was changed afterwards" in words


class TestCutOffSetForward:
    def nothing_went(self, node):
        assert numbers(node.chain.segments) == [1, 2, 3, 4, 5, 6]
        assert not AuditRemoval.objects.exists()
        return True

    def test_a_checkpoint_dated_back_in_its_column(self, aged):
        AuditCheckpoint.objects.update(sealed_at=timezone.now() - timedelta(days=400))

        with pytest.raises(ChainBrokenError, match="checkpoint at segment 5 of api1 was dated back"):
            prune(aged)
        assert self.nothing_went(aged)

    def test_segments_dated_back(self, aged):
        AuditSegment.objects.filter(number=3).update(collected_at=timezone.now() - timedelta(days=400))

        with pytest.raises(ChainBrokenError, match="Segment 3 was changed"):
            prune(aged)
        assert self.nothing_went(aged)

    def test_evidence_is_not_removed(self, aged):
        change(record(aged, 2, 1), user="somebody else")

        with pytest.raises(ChainBrokenError, match="Record 2 of 3 in segment 2"):
            prune(aged)
        assert self.nothing_went(aged)

    def test_only_steps_that_were_whole_go_before_it_is_found(self, aged, monkeypatch):
        monkeypatch.setattr(retention, "STEP_LINES", 5)
        change(record(aged, 4, 1), user="somebody else")

        with pytest.raises(ChainBrokenError, match="Record 2 of 3 in segment 4"):
            prune(aged)

        assert numbers(aged.chain.segments) == [3, 4, 5, 6]
        (words,) = aged.findings()
        assert words.startswith("Record 2 of 3 in segment 4")

    def test_none_goes_once_a_verification_has_found_it(self, aged, monkeypatch):
        monkeypatch.setattr(retention, "STEP_LINES", 5)

        def look(_segments):
            change(record(aged, 6, 1), user="somebody else")
            aged.verify()

        with pytest.raises(ChainBrokenError, match="found not to be whole"):
            prune(aged, told=look)
        assert numbers(aged.chain.segments) == [3, 4, 5, 6]

    def test_nor_while_one_that_has_found_it_is_under_way(self, aged, monkeypatch):
        monkeypatch.setattr("keepsite.trail.verifying.PAGE_SEGMENTS", 2)
        change(record(aged, 6, 1), user="somebody else")
        for _ in range(3):
            assert not go_on(aged.chain, deadline=0, now=timezone.now(), known={})

        with pytest.raises(ChainBrokenError, match="found not to be whole"):
            prune(aged)
        assert self.nothing_went(aged)

    def test_nor_what_led_up_to_it(self, aged):
        change(record(aged, 6, 1), user="somebody else")
        aged.verify()

        with pytest.raises(ChainBrokenError, match="found not to be whole"):
            prune(aged)
        assert self.nothing_went(aged)

    def test_a_chain_without_its_newest_checkpoint(self, aged):
        gone(aged.chain.checkpoints.filter(number=6))

        with pytest.raises(ChainBrokenError, match="newest checkpoint"):
            prune(aged)
        assert self.nothing_went(aged)

    def test_a_chain_computed_anew(self, aged):
        for segment in aged.chain.segments.order_by("number"):
            change(segment, bytes_digest="0" * 64)

        with pytest.raises(ChainBrokenError):
            prune(aged)
        assert self.nothing_went(aged)

    def test_a_clock_that_runs_ahead_is_found_at_once_and_stays_found(self, aged):
        prune(aged, now=timezone.now() + timedelta(days=200))
        assert numbers(aged.chain.segments) == [6]
        aged.write()
        aged.collect()
        aged.seal()

        for now in (timezone.now(), timezone.now() + timedelta(days=500)):
            assert any("by a clock that ran ahead" in words for words in aged.findings(now))

    def test_younger_records_whoever_had_that_sealed(self, aged):
        store(aged, removal_at(aged, 5))
        delete_until(aged, 5)

        assert aged.findings() == ["Segments up to 5 were removed before the last of them was 90 days old."]

    def test_another_history_whoever_had_that_sealed(self, aged):
        store(aged, replace(removal_at(aged, 4), digest="0" * 64))
        delete_until(aged, 4)

        assert aged.findings() == [
            "Segment 5 does not follow the one before it as that is now.",
            "Segments up to 4 were replaced after they had been sealed.",
        ]

    def test_a_shorter_rule_whoever_had_that_sealed(self, aged):
        store(aged, removal_at(aged, 4, days=7))
        delete_until(aged, 4)

        assert aged.findings() == [
            "Segments up to 4 were removed by a retention of 7 days; none is shorter than 30."
        ]

    @pytest.mark.parametrize("days", [-1, 1, 29, 10**9])
    def test_a_setting_that_is_no_retention(self, settings, days):
        settings.AUDIT_RETENTION_DAYS = days

        assert "keepsite.E040" in {problem.id for problem in retention_is_usable(None)}

    @pytest.mark.parametrize("days", [-1, 1, 29])
    def test_one_that_leaves_nobody_time_to_look(self, aged, days):
        with pytest.raises(InvalidInput):
            prune(aged, days=days)
        assert self.nothing_went(aged)


class TestJob:
    def test_prunes_what_is_whole_and_tells_of_the_rest(self, aged, tmp_path, settings):
        settings.AUDIT_RETENTION_DAYS = DAYS
        other = Node(tmp_path / "api2", name="api2")
        live(other, 4, since=timezone.now() - timedelta(days=100))
        change(record(other, 2, 1), user="somebody else")

        with capture_logs() as logs:
            assert prune_chains(time.monotonic() + 60)

        assert numbers(aged.chain.segments) == [5, 6]
        assert numbers(other.chain.segments) == [1, 2, 3, 4]
        (line,) = (line for line in logs if line["log_level"] == "critical")
        assert (line["event"], line["node"]) == ("audit.not_pruned", "api2")

    def test_past_its_time_it_asks_to_be_run_again(self, aged, settings):
        settings.AUDIT_RETENTION_DAYS = DAYS

        assert not prune_chains(time.monotonic() - 1)
        assert numbers(aged.chain.segments) == [1, 2, 3, 4, 5, 6]

    def test_what_it_cannot_verify_in_time_is_left_to_the_command(self, aged, settings, monkeypatch):
        settings.AUDIT_RETENTION_DAYS = DAYS
        monkeypatch.setattr("keepsite.trail.verifying.PAGE_SEGMENTS", 1)
        monkeypatch.setattr("keepsite.trail.jobs.time", SimpleNamespace(monotonic=count().__next__))

        with capture_logs() as logs:
            assert prune_chains(4)

        assert [line["event"] for line in logs] == ["audit.removal_left_to_command"]
        assert numbers(aged.chain.segments) == [1, 2, 3, 4, 5, 6]

    def test_but_not_because_another_one_took_the_time(self, aged, tmp_path, settings, monkeypatch):
        settings.AUDIT_RETENTION_DAYS = DAYS
        live(Node(tmp_path / "api2", name="api2"), 4, since=timezone.now() - timedelta(days=100))
        change(record(aged, 4, 1), user="somebody else")
        monkeypatch.setattr("keepsite.trail.verifying.PAGE_SEGMENTS", 1)
        monkeypatch.setattr("keepsite.trail.jobs.time", SimpleNamespace(monotonic=count().__next__))

        with capture_logs() as logs:
            assert not prune_chains(9)

        assert "audit.removal_left_to_command" not in {line["event"] for line in logs}

    def test_removes_nothing_by_default(self, aged):
        assert prune_chains(time.monotonic() + 60)

        assert numbers(aged.chain.segments) == [1, 2, 3, 4, 5, 6]


class TestCommands:
    @pytest.fixture
    def here(self, aged, settings):
        """The node's folder is this host's."""
        settings.AUDIT_RETENTION_DAYS = DAYS
        settings.NODE_NAME = aged.name
        return aged

    def test_counts_removes_and_is_told_of_by_verify(self, here, capsys):
        call_command("audit_prune", "--dry-run")
        assert "api1: 12 records in 4 segments are due" in capsys.readouterr().out
        assert numbers(here.chain.segments) == [1, 2, 3, 4, 5, 6]

        call_command("audit_prune")
        assert "api1: 12 records in 4 segments removed" in capsys.readouterr().out

        since = here.chain.segments.get(number=5).collected_at.isoformat()
        removed_at = AuditRemoval.objects.get().removed_at.isoformat()
        printed = verify(capsys)
        assert (
            f"api1: whole; whole since {since}, records before it were removed on purpose on {removed_at}"
            " by the retention of 90 days (12 in all), sealed until"
        ) in printed
        told = json.loads(verify(capsys, "--json"))["chains"][0]
        assert told["removed"] == {"at": removed_at, "retention_days": 90, "segments": 4, "records": 12}

    def test_what_is_not_whole_is_kept_and_said(self, here, capsys):
        change(record(here, 2, 1), user="somebody else")

        with pytest.raises(SystemExit) as end:
            call_command("audit_prune", "--json")

        assert end.value.code == 1
        (told,) = json.loads(capsys.readouterr().out)["chains"]
        assert "Record 2 of 3 in segment 2" in told["kept_because"]
        assert told["removed"] == {"segments": 0, "records": 0}

    def test_without_a_retention_it_says_so(self, here, settings):
        settings.AUDIT_RETENTION_DAYS = 0

        with pytest.raises(CommandError, match="all records are kept") as refused:
            call_command("audit_prune")
        assert refused.value.returncode == 2

    def test_without_one_it_finishes_what_was_begun(self, here, settings, monkeypatch, capsys):
        monkeypatch.setattr(removing, "BATCH_ROWS", 8)
        assert not prune(here, is_enough=lambda: here.chain.segments.count() < 6)
        settings.AUDIT_RETENTION_DAYS = 0

        call_command("audit_prune", "--dry-run")
        assert "api1: 6 records in 2 segments are due" in capsys.readouterr().out

        call_command("audit_prune")
        assert "api1: 6 records in 2 segments removed" in capsys.readouterr().out
        assert numbers(here.chain.segments) == [5, 6]

    def test_what_could_not_be_done_is_no_broken_chain(self, here, settings, unwritable):
        unwritable()
        with pytest.raises(CommandError, match="run it again") as failed:
            call_command("audit_prune")
        assert failed.value.returncode == 2

        settings.AUDIT_RETENTION_DAYS = 7
        with pytest.raises(CommandError, match="No retention is shorter than 30 days") as refused:
            call_command("audit_prune")
        assert refused.value.returncode == 2
        assert "run it again" not in str(refused.value)

    def test_checkpoints_kept_elsewhere(self, here, capsys, tmp_path):
        kept = tmp_path / "kept.json"
        (now,) = json.loads(verify(capsys, "--checkpoints"))
        removed, last = (
            {
                "chain": now["chain"],
                "segment": number,
                "digest": here.chain.segments.get(number=number).digest,
            }
            for number in (2, 4)
        )
        prune(here)

        kept.write_text(json.dumps([removed, last, now]))
        assert "nothing is left to compare it with" in verify(capsys, "--against", str(kept))
        kept.write_text(json.dumps([last | {"digest": "0" * 64}]))
        assert "are not those whose checkpoint was kept" in verify(capsys, "--against", str(kept), code=1)

    def test_what_goes_while_they_are_compared_contradicts_none(self, here, monkeypatch):
        (now,) = elsewhere.newest_checkpoints()
        kept = now | {"segment": 2, "digest": here.chain.segments.get(number=2).digest}
        read = elsewhere._digest

        def prune_first(*of):
            prune(here)
            return read(*of)

        monkeypatch.setattr(elsewhere, "_digest", prune_first)

        found = elsewhere.compared([kept])
        assert (len(found.contradictions), len(found.beyond_retention)) == (0, 1)

    def test_removals_are_opened_once_and_only_to_be_compared(self, here, capsys, tmp_path, monkeypatch):
        kept, opened = tmp_path / "kept.json", []
        prune(here)
        kept.write_text(json.dumps(elsewhere.newest_checkpoints()))
        monkeypatch.setattr(
            elsewhere, "opened_removal", lambda row: opened.append(row) or removals.opened(row)
        )

        verify(capsys)
        assert not opened
        verify(capsys, "--against", str(kept))
        assert len(opened) == 1

    def test_files_that_are_still_there(self, here, capsys, settings):
        settings.AUDIT_DIR = here.folder
        prune(here)
        os.utime(here.folder / "audit-20260131.jsonl", (0, 0))  # its day is over
        here.write(2, day="20260201")
        here.collect()
        here.seal()
        told = json.loads(verify(capsys, "--files", "--json"))["files"]
        assert (told["uncompared"], told["findings"]) == ([], [])

        prune(here, now=timezone.now() + timedelta(days=DAYS, hours=-0.5))  # to the end of the first file
        report = verify_files(here.folder)
        assert numbers(here.chain.segments) == [7]
        assert (report.uncompared, report.findings) == ((), ())

        later = timezone.now() + timedelta(days=DAYS + 1)
        here.write(1, day="20260201")
        here.collect()
        here.seal(later)
        prune(here, now=later)
        report = verify_files(here.folder)
        assert (report.uncompared, report.findings) == (("audit-20260131.jsonl",), ())
        assert "1 day is older than what the retention keeps" in verify(capsys, "--files", code=1)
