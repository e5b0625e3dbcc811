"""The short form of ``make chaos-hsm``: the same faults on real processes, without its timings."""

import pytest

from bench.chaos_hsm import Campaign

pytestmark = pytest.mark.processes


@pytest.mark.parametrize("cache_max_keys", [2000, 2], ids=["room for every key", "room for two keys"])
class TestCampaign:
    def test_no_request_fails_while_one_appliance_is_up(self, tmp_path, cache_max_keys):
        campaign = Campaign(
            tmp_path,
            phase_s=0.3,
            cache_max_keys=cache_max_keys,
            timeout_ms=1000,  # a machine that is busy with other tests is slow, but nobody is away
            settings="budget_ms = 10000",
        )
        try:
            campaign.everything()
        finally:
            campaign.close()

        rows = {row.fault: row for row in campaign.rows}
        assert [row for row in rows.values() if row.failed] == [], campaign.load.failures[:5]
        told_to_wait = {fault for fault, row in rows.items() if row.refused}
        assert told_to_wait <= {"kill -9 of both", "both are started again"}
        assert rows["kill -9 of both"].refused > 0
        assert all(row.requests > row.refused for fault, row in rows.items() if fault not in told_to_wait)
        assert campaign.hsm.status()[0].tally.trips == 2
        assert max(row.most_waits for row in campaign.rows) <= 1
