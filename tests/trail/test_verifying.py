"""Whatever is changed in the database after it was collected is found, and named."""

import hashlib
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from keepsite.ids import new_id
from keepsite.trail.digests import line_hash, segment_digest
from keepsite.trail.models import AuditChain, AuditCheckpoint, AuditRecord, AuditSegment
from keepsite.trail.sealing import ChainBrokenError
from keepsite.trail.services import tell_of_strays
from tests.trail.conftest import Node

HOUR = timedelta(hours=1)


def record(node, segment, position):
    return AuditRecord.objects.get(segment__chain=node.chain, segment__number=segment, position=position)


def change(row, **columns):
    type(row).objects.filter(pk=row.pk).update(**columns)


def gone(rows):
    """As somebody at the database's own prompt would delete them."""
    rows._raw_delete(rows.db)


def last(node):
    return node.chain.segments.order_by("-number").first()


class TestWhole:
    def test_what_nobody_touched_is_whole_since_it_began(self, sealed):
        verdict = sealed.verify()

        assert verdict.is_whole
        assert verdict.whole_since == sealed.chain.began_at
        assert (verdict.segments, verdict.records, verdict.unsealed_segments) == (3, 9, 0)

    def test_segments_of_the_last_seconds_may_wait_for_the_seal(self, sealed):
        sealed.write()
        sealed.collect()

        verdict = sealed.verify()
        assert verdict.is_whole
        assert verdict.unsealed_segments == 1

    def test_hours_leave_a_checkpoint_each(self, sealed):
        now = timezone.now()
        for hour in (1, 2, 3):
            sealed.write()
            sealed.collect()
            sealed.seal(now + hour * 1.1 * HOUR)

        assert sealed.chain.checkpoints.count() == 4
        assert sealed.findings() == []

    def test_what_was_found_stays_on_the_chain(self, sealed):
        sealed.verify()

        chain = sealed.chain
        assert (chain.verified_by, chain.records_verified, chain.findings) == ("tests", 9, [])
        assert chain.whole_since == chain.began_at


class TestRecords:
    @pytest.mark.parametrize(
        "columns",
        [{"line": "{}"}, {"user": "somebody else"}, {"at": timezone.now()}, {"outcome": "403"}],
        ids=["line", "user", "time", "outcome"],
    )
    def test_a_changed_one_is_named(self, sealed, columns):
        change(record(sealed, 2, 1), **columns)

        (finding,) = sealed.verify().findings
        assert finding.number == 2
        assert "Record 2 of 3 in segment 2" in finding.words
        assert finding.record == record(sealed, 2, 1).id

    def test_a_deleted_one_is_named_by_the_one_before(self, sealed):
        gone(AuditRecord.objects.filter(pk=record(sealed, 2, 1).pk))

        (words,) = sealed.findings()
        assert words == (
            "Record 2 of 3 in segment 2 was deleted: it stood after payload.read of 2026-01-31 12:00:04 UTC."
        )

    def test_an_added_one_is_named(self, sealed):
        added = record(sealed, 2, 1)
        added.pk, added.position, added.action = new_id(), 3, "secret.created"
        added.save(force_insert=True)

        (finding,) = sealed.verify().findings
        assert finding.words.startswith("A record was added to segment 2: secret.created")
        assert finding.record == added.pk

    def test_two_that_changed_places_are_named(self, sealed):
        first, second = record(sealed, 2, 0), record(sealed, 2, 2)
        for row, position in ((first, 99), (second, 0), (first, 2)):
            change(row, position=position)

        assert [words.split(":")[0] for words in sealed.findings()] == [
            "Record 1 of 3 in segment 2 was exchanged with another",
            "Record 3 of 3 in segment 2 was exchanged with another",
        ]

    def test_the_chain_is_whole_again_from_the_next_segment_on(self, sealed):
        change(record(sealed, 2, 1), user="somebody else")

        verdict = sealed.verify()
        assert verdict.whole_since == sealed.chain.segments.get(number=3).collected_at

    def test_without_a_whole_end_it_is_whole_since_never(self, sealed):
        change(record(sealed, 3, 1), user="somebody else")

        assert sealed.verify().whole_since is None


class TestSegments:
    def test_a_deleted_one_is_named(self, sealed):
        segment = sealed.chain.segments.get(number=2)
        gone(segment.records.all())
        gone(AuditSegment.objects.filter(pk=segment.pk))

        assert "Segment 2 is missing: all their records were deleted." in sealed.findings()

    def test_deleted_last_ones_are_missed(self, sealed):
        segment = last(sealed)
        gone(segment.records.all())
        gone(AuditSegment.objects.filter(pk=segment.pk))

        assert sealed.findings() == ["Sealed up to segment 3, which was deleted; the last is 2."]

    def test_the_first_one_is_missed(self, sealed):
        segment = sealed.chain.segments.get(number=1)
        gone(segment.records.all())
        gone(AuditSegment.objects.filter(pk=segment.pk))

        assert "Segment 1 is missing: all their records were deleted." in sealed.findings()

    def test_one_made_to_fit_a_changed_record_does_not_fit_the_next(self, sealed):
        forged = record(sealed, 2, 1)
        line = forged.line.replace('"u1"', '"u9"')
        change(forged, line=line, user="u9")
        segment = forged.segment
        hashes = segment.hashes
        hashes[1] = line_hash(line)
        segment.row_hashes = b"".join(hashes)
        segment.digest = segment_digest(segment)
        segment.save()

        assert sealed.findings() == ["Segment 3 does not follow the one before it as that is now."]

    def test_a_whole_forged_history_is_not_what_was_sealed(self, sealed):
        digest = None
        for segment in sealed.chain.segments.order_by("number"):
            segment.bytes_digest = hashlib.sha256(b"forged").hexdigest()
            segment.previous_digest = digest or segment.previous_digest
            segment.digest = digest = segment_digest(segment)
            segment.save()

        assert sealed.findings() == ["Segments up to 3 were replaced after they had been sealed."]

    def test_what_is_changed_before_it_is_sealed_is_not_sealed_over(self, sealed):
        sealed.write(2)
        sealed.collect()
        change(record(sealed, 4, 0), user="somebody else")

        with pytest.raises(ChainBrokenError, match="Record 1 of 2 in segment 4"):
            sealed.seal()


class TestCheckpoints:
    def test_a_deleted_one_is_missed(self, sealed):
        gone(sealed.chain.checkpoints.all())
        later = timezone.now() + HOUR

        (words,) = sealed.findings(later)
        assert words.startswith("Segments from 1 on are not sealed")

    def test_a_deleted_older_one_is_missed(self, sealed):
        for hour in (1, 2):
            sealed.write()
            sealed.collect()
            sealed.seal(timezone.now() + hour * 1.1 * HOUR)
        gone(sealed.chain.checkpoints.filter(number=4))

        assert sealed.findings() == ["The checkpoint at segment 4 was deleted."]

    def test_a_forged_one_is_named(self, sealed):
        checkpoint = sealed.chain.checkpoints.get()
        change(checkpoint, ciphertext=bytes(len(checkpoint.ciphertext)))

        assert sealed.findings()[0] == (
            "The checkpoint at segment 3 was not sealed by this HSM, or was changed."
        )

    def test_one_of_another_chain_does_not_pass(self, sealed, tmp_path):
        other = Node(tmp_path / "api2", name="api2")
        for _ in range(3):
            other.write(3)
            other.collect()
        other.seal()
        theirs = other.chain.checkpoints.get()
        change(
            sealed.chain.checkpoints.get(), iv=theirs.iv, ciphertext=theirs.ciphertext, pkek_id=theirs.pkek_id
        )

        assert "was not sealed by this HSM" in sealed.findings()[0]

    def test_the_last_hour_cut_off_with_its_checkpoint_shows(self, sealed):
        sealed.write()
        sealed.collect()
        sealed.seal(timezone.now() + 2 * HOUR)
        segment = last(sealed)
        gone(segment.records.all())
        gone(AuditSegment.objects.filter(pk=segment.pk))
        gone(sealed.chain.checkpoints.filter(number=4))
        sealed.chain.checkpoints.update(newest_marker=True)

        assert sealed.findings() == ["The checkpoint at segment 3 was put back: later ones were deleted."]

    def test_one_put_back_from_a_backup_is_known_from_another_chain(self, sealed, tmp_path):
        backup = sealed.chain.checkpoints.get()
        sealed.write()
        sealed.collect()
        sealed.seal()
        other = Node(tmp_path / "api2", name="api2")
        other.write()
        other.collect()
        other.seal()
        segment = last(sealed)
        gone(segment.records.all())
        gone(AuditSegment.objects.filter(pk=segment.pk))
        backup.save()

        assert sealed.findings() == ["It was sealed up to segment 4, as another chain's checkpoint says."]
        assert other.findings() == []

    def test_no_new_one_is_sealed_where_the_newest_is_gone(self, sealed):
        sealed.chain.checkpoints.update(newest_marker=None)
        sealed.write()
        sealed.collect()

        with pytest.raises(ChainBrokenError, match="missing"):
            sealed.seal()

    def test_it_survives_new_keys(self, sealed):
        from keepsite.keyring.models import ProjectKEK
        from tests.keyring.rotation.test_reencrypt import REENCRYPT, ROTATE, run_to_its_end

        old = sealed.chain.checkpoints.get().pkek_id
        run_to_its_end(ROTATE)
        run_to_its_end(REENCRYPT)

        assert sealed.chain.checkpoints.get().pkek_id != old
        assert ProjectKEK.objects.get(id=old).state != ProjectKEK.State.ACTIVE
        assert sealed.findings() == []


class TestStrays:
    def test_a_deleted_chain_is_known_from_another(self, sealed, tmp_path):
        other = Node(tmp_path / "api2", name="api2")
        other.write()
        other.collect()
        other.seal()
        chain = sealed.chain
        with connection.constraint_checks_disabled():
            gone(AuditRecord.objects.filter(segment__chain=chain))
            for model in (AuditSegment, AuditCheckpoint):
                gone(model.objects.filter(chain=chain))
            gone(AuditChain.objects.filter(id=chain.id))

        (words,) = tell_of_strays()
        assert words.startswith(f"Chain {chain.id} was deleted. It was sealed up to segment 3")

    def test_nothing_strays_where_nothing_was_done(self, sealed):
        assert tell_of_strays() == []
