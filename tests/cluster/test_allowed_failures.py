"""What `make chaos-orders` forgives each fault."""

import pytest

from tests.cluster.allowed_failures import ALLOWED, unexpected
from tests.cluster.campaign import Campaign, Phase
from tests.cluster.chaos_orders import FAULTS
from tests.support.order_load import Failure


def failure(began, ended, *, status=None, has_passphrase=False):
    return Failure(
        began=began, ended=ended, kind=str(status or "ConnectionResetError"), status=status,
        has_passphrase=has_passphrase,
    )  # fmt: skip


def excused(fault, **how):
    phase = Phase(fault=fault, began=100, repaired=105, recovered=110)
    return not list(unexpected([failure(101, 102, **how)], [phase]))


def test_every_fault_says_what_it_may_fail():
    assert {*ALLOWED} == {*FAULTS}
    assert all(hasattr(Campaign, fault) for fault in ALLOWED)


@pytest.mark.parametrize("fault", ["worker_killed", "leader_killed", "node_cut_off", "relay_killed"])
def test_what_is_no_part_of_a_request_may_fail_none(fault):
    assert not excused(fault, status=503)
    assert not excused(fault, status=503, has_passphrase=True)
    assert not excused(fault)


def test_the_database_only_503():
    assert excused("database_killed", status=503)
    assert not excused("database_killed", status=500)
    assert not excused("database_killed")


def test_the_hsm_only_503_to_those_with_a_pass_phrase():
    assert excused("hsm_away", status=503, has_passphrase=True)
    assert not excused("hsm_away", status=503)
    assert not excused("hsm_away", status=500, has_passphrase=True)


def test_the_api_only_connections():
    assert excused("api_node_killed")
    assert not excused("api_node_killed", status=503)


@pytest.mark.parametrize(
    ("began", "ended", "is_excused"), [(95, 101, True), (109, 120, True), (90, 99, False), (111, 112, False)]
)
def test_only_while_the_request_was_on_its_way(began, ended, is_excused):
    phase = Phase(fault="database_killed", began=100, repaired=105, recovered=110)

    told = list(unexpected([failure(began, ended, status=503)], [phase]))

    assert (told == []) is is_excused
    assert is_excused or "no fault at all" in told[0]
