import pytest

from bench.chaos_colour import NODES, Load, check_blue, pools, promote

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Two green and two blue nodes behind a haproxy for each pool."""
    with pools(tmp_path_factory.mktemp("colour"), settle_s=2) as running:
        yield running


def test_blue_and_green_change_places_under_load_and_no_request_fails(site):
    nodes, green, blue = site
    said = []

    with Load(nodes, green, rate=5) as load:
        promote(nodes, said.append)
        outcomes = load.take()

    assert nodes.states() == {"api1": "blue up", "api2": "blue up", "api3": "green up", "api4": "green up"}
    assert [outcome for outcome in outcomes if outcome.failed or outcome.wrong_colour] == []
    assert {outcome.served_by for outcome in outcomes} == {*NODES}
    check_blue(nodes, blue)
