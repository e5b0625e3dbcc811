"""What an operator types: collect, verify, keep checkpoints elsewhere."""

import json
import os

import pytest
from django.core.management import CommandError, call_command

from keepsite.trail.collecting import alone
from keepsite.trail.models import AuditChain, AuditRecord

CKR_DEVICE_ERROR = 0x30


@pytest.fixture
def here(node, settings):
    """The node's folder is this host's."""
    settings.AUDIT_DIR = node.folder
    settings.NODE_NAME = node.name
    return node


def verify(capsys, *options, code=0):
    """What it prints, and that it ends with ``code``."""
    capsys.readouterr()
    ended, printed = 0, None
    try:
        call_command("audit_verify", *options)
    except SystemExit as end:
        ended = end.code
    except CommandError as error:
        ended, printed = error.returncode, str(error)
    assert ended == code
    return printed or capsys.readouterr().out


class TestCollect:
    def test_once_takes_what_there_is(self, here, capsys):
        here.write(3)
        call_command("audit_collect", "--once")

        assert capsys.readouterr().out.endswith("3 records collected.\n")
        assert AuditRecord.objects.count() == 3

    def test_it_stands_back_where_another_collects(self, here):
        with alone(here.folder), pytest.raises(CommandError, match="Another process"):
            call_command("audit_collect", "--once")

    def test_a_host_that_recorded_nothing_says_so(self, db, settings, tmp_path):
        settings.AUDIT_DIR = tmp_path / "nothing"

        with pytest.raises(CommandError, match="recorded nothing"):
            call_command("audit_collect", "--once")


class TestVerify:
    @pytest.fixture
    def sealed(self, here):
        here.write(3)
        here.collect()
        here.seal()
        return here

    def test_whole_is_0_with_since_when(self, sealed, capsys):
        printed = verify(capsys)

        assert f"api1: whole; whole since {sealed.chain.began_at.isoformat()}" in printed
        assert "3 records in 1 segments, 0 not sealed yet" in printed

    def test_not_whole_is_1_with_what_was_found(self, sealed, capsys):
        AuditRecord.objects.filter(position=1).update(user="nobody")

        assert "NOT WHOLE; no stretch up to now is whole" in verify(capsys, code=1)
        found = json.loads(verify(capsys, "--json", code=1))
        assert found["is_whole"] is False
        assert found["chains"][0]["findings"][0]["record"] == AuditRecord.objects.get(position=1).pk

    def test_without_the_hsm_nothing_is_known(self, sealed, capsys, shim):
        shim.answer(CKR_DEVICE_ERROR)

        assert "Not verified" in verify(capsys, code=2)
        assert AuditChain.objects.get().verified_at is None

    def test_nothing_collected_is_no_verdict(self, mkek, capsys):
        assert "nothing was collected yet" in verify(capsys, code=2)
        assert "no chain of a node" in verify(capsys, "--node", "api9", code=2)

    def test_checkpoints_kept_elsewhere_agree_until_the_chain_is_another(self, sealed, capsys, tmp_path):
        kept = tmp_path / "kept.json"
        kept.write_text(verify(capsys, "--checkpoints"))
        assert json.loads(kept.read_text())[0]["segment"] == 1
        verify(capsys, "--against", str(kept))

        kept.write_text(kept.read_text().replace(sealed.chain.segments.get().digest, "0" * 64))
        assert "are not those whose checkpoint was kept" in verify(capsys, "--against", str(kept), code=1)
        kept.write_text(kept.read_text().replace('"segment": 1', '"segment": 9'))
        assert "whose checkpoint was kept, is gone" in verify(capsys, "--against", str(kept), code=1)
        kept.write_text('{"a": 1}')
        assert "not what audit_verify" in verify(capsys, "--against", str(kept), code=2)


class TestFiles:
    @pytest.fixture
    def days(self, here):
        for day in ("20260130", "20260131"):
            here.write(2, day=day)
            os.utime(here.folder / f"audit-{day}.jsonl", (0, 0))
        here.collect()
        here.seal()
        return here

    def findings(self, capsys, code):
        return json.loads(verify(capsys, "--files", "--json", code=code))["files"]

    def test_untouched_ones_are_what_was_collected(self, days, capsys):
        report = self.findings(capsys, 0)
        assert (report["segments"], report["absent"], report["findings"]) == (2, [], [])

    def test_one_moved_away_is_absent_and_no_finding(self, days, capsys):
        (days.folder / "audit-20260130.jsonl").unlink()

        assert self.findings(capsys, 0)["absent"] == ["audit-20260130.jsonl"]

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda path: path.write_text(path.read_text().replace("u1", "u2")), "is not what was collected"),
            (lambda path: os.truncate(path, 20), "is shorter than what was collected"),
            (
                lambda path: path.write_text(path.read_text() + "{}\n"),
                "has 3 bytes behind what was collected",
            ),
        ],
        ids=["changed", "cut", "longer"],
    )
    def test_one_that_was_changed_is_named(self, days, capsys, change, words):
        change(days.folder / "audit-20260130.jsonl")

        (found,) = self.findings(capsys, 1)["findings"]
        assert found.startswith("audit-20260130.jsonl")
        assert words in found
