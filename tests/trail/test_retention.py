"""What is older than the retention goes, the rest proves whole, and no other deletion passes for one."""

import json
import os
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.utils import timezone
from structlog.testing import capture_logs

from keepsite.errors import InvalidInput, NotAllowed, Unavailable
from keepsite.identity.operators import command_principal
from keepsite.identity.principal import Principal
from keepsite.trail import removals, retention
from keepsite.trail.files import verify_files
from keepsite.trail.jobs import prune_chains
from keepsite.trail.models import AuditCheckpoint, AuditRecord, AuditRemoval, AuditSegment
from keepsite.trail.removals import Removal
from keepsite.trail.sealing import ChainBrokenError
from keepsite.trail.services import go_on, set_backs
from keepsite.trail.verifying import Check
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
    return retention.prune(node.chain, days=days, actor=ACTOR, now=now or timezone.now(), **options)


def numbers(rows):
    return sorted(rows.values_list("number", flat=True))


@pytest.fixture
def aged(node):
    """Segments 1 to 4 and their checkpoints are a hundred days old, 5 and 6 of today."""
    live(node, 4, since=timezone.now() - timedelta(days=100))
    live(node, 2, since=timezone.now() - 2 * HOUR)
    return node


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

    def test_a_transaction_has_no_more_rows_than_allowed(self, aged, monkeypatch):
        monkeypatch.setattr(retention, "BATCH_ROWS", 8)  # a segment has four rows
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
            retention.prune(aged.chain, days=DAYS, actor=admin, now=timezone.now())
        assert numbers(aged.chain.segments) == [1, 2, 3, 4, 5, 6]


class TestKilled:
    @pytest.fixture
    def half_done(self, aged, monkeypatch, audited):
        """Two of four segments are gone, as after a kill."""
        monkeypatch.setattr(retention, "BATCH_ROWS", 8)
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

    def test_what_is_not_recorded_is_not_removed(self, aged, monkeypatch):
        def refuse(*_, **__):
            raise Unavailable

        with monkeypatch.context() as patched:
            patched.setattr(retention.audit, "record", refuse)
            with pytest.raises(Unavailable):
                prune(aged)
        assert numbers(aged.chain.segments) == [1, 2, 3, 4, 5, 6]

        assert prune(aged)
        assert numbers(aged.chain.segments) == [5, 6]

    def test_of_two_at_once_one_decides(self, aged):
        stale = retention._next_step(aged.chain, None, days=DAYS, now=timezone.now())
        assert prune(aged)

        again = {"days": DAYS, "now": timezone.now(), "is_enough": lambda: False}
        assert retention._decide(aged.chain, None, stale, **again) is None
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
    AuditRemoval.objects.create(chain=node.chain, **removals.columns_of(removal, removals.seal(removal)))


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

    def test_records_put_back_in_its_place(self, pruned):
        kept = pruned.chain.segments.get(number=5)
        copies = list(kept.records.all())
        kept.pk, kept.number = AuditRemoval.objects.get().pk, 3
        kept.save(force_insert=True)
        for copy in copies:
            copy.pk, copy.segment = f"{copy.pk[:-4]}ffff", kept
            copy.save(force_insert=True)

        (words,) = pruned.findings(timezone.now() + timedelta(hours=2))
        assert words == (
            "Segments up to 4 were removed by the retention, yet 1 are there:"
            " put back, or not removed after all."
        )
        prune(pruned)  # and its next run takes them away

        assert numbers(pruned.chain.segments) == [5, 6]

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
    def test_a_setting_that_leaves_nobody_time_to_look(self, aged, settings, days):
        settings.AUDIT_RETENTION_DAYS = days

        assert "keepsite.E040" in {problem.id for problem in run_checks()}
        if 0 < days < 30:
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

        with pytest.raises(CommandError, match="all records are kept"):
            call_command("audit_prune")

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
