"""`hsm_status`: how the processes that serve see the HSM, without a token."""

import json
from datetime import timedelta
from io import StringIO
from random import Random

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from keepsite.fleet.models import HSMMember, NodeReport
from tests.console.plausible_fleet import fill_fleet


@pytest.fixture
def reported(db):
    """Six nodes, two members of which one is troubled."""
    fill_fleet(Random(7), timezone.now())


def status(**options):
    out = StringIO()
    call_command("hsm_status", stdout=out, **options)
    return out.getvalue()


def test_tells_each_member_as_the_nodes_report_it(reported, shim):
    with shim.counting() as calls:
        told = json.loads(status(json=True))

    assert calls == {}
    rows = NodeReport.objects.all()
    for member in told["members"]:
        assert member["states_by_node"] == {
            row.node: row.members[member["name"]]["states"]
            for row in rows
            if row.node in told["reporting"] and member["name"] in row.members
        }
        assert member["last_canary_at"]
        assert member["sessions"] > 0
    assert {member["name"] for member in told["members"]} == {
        *HSMMember.objects.values_list("name", flat=True)
    }


def test_says_it_in_words(reported):
    HSMMember.objects.create(name="spare")

    told = status()

    for member in ("rack1", "rack2"):
        assert f"member {member}" in told
    assert "processes of node00" in told
    assert "s ago" in told
    assert "reported by no node" in told


def test_exits_with_1_when_no_member_serves(reported):
    for row in NodeReport.objects.all():
        row.members = {name: told | {"states": {"down": 3}} for name, told in row.members.items()}
        row.save()

    with pytest.raises(CommandError, match="No HSM member serves"):
        status()


def test_and_when_no_node_reports(reported):
    NodeReport.objects.update(told_at=timezone.now() - timedelta(minutes=5))

    with pytest.raises(CommandError, match="No node reports"):
        status()
