"""The fault campaign in short; ``make chaos-orders`` runs all of it with 2,000 orders."""

import pytest

from tests.cluster.campaign import Campaign
from tests.support.servers.hosts import Switch

FAULTS = ("worker_killed", "node_cut_off", "api_node_killed")


@pytest.mark.broker
@pytest.mark.processes
@pytest.mark.skipif(bool(Switch.refusal()), reason=f"NOT TESTED: {Switch.refusal()}")
def test_under_faults_every_acknowledged_order_has_exactly_its_result():
    with Campaign(total=150, per_second=5) as campaign:
        campaign.run(*FAULTS)
        problems = campaign.verify()

    assert problems == []
    assert [phase.fault for phase in campaign.phases] == [*FAULTS]
