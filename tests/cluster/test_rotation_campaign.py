"""Every key replaced under traffic with kill -9s, in short; ``make chaos-rotation`` is the long form."""

import pytest

from tests.support.rotation_campaign import campaign

pytestmark = pytest.mark.processes


class TestCampaign:
    def test_no_request_fails_and_every_secret_reads_back(self, tmp_path, new_database_url):
        report = campaign(
            tmp_path / "state", secrets=150, projects=8, pause_s=0.05, database_url=new_database_url()
        )

        assert report.failures == []
        assert (report.wrong, report.left) == (0, 0)
        assert report.checked >= 150
        assert report.kills == ["mkek_rewrap", "pkek_rotate", "pkek_reencrypt", "worker at pkek_reencrypt"]
        assert report.reads > 0
        assert report.writes > 0
