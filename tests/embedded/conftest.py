import pytest

from tests.support.embedded import Embedded


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    """One Keepsite for the tests of a module that leave it running."""
    running = Embedded(tmp_path_factory.mktemp("embedded") / "state").start()
    yield running
    running.stop()


@pytest.fixture
def fresh(tmp_path):
    """A Keepsite that a test may start, kill and start again."""
    made = []

    def make(state=tmp_path / "state", **options):
        made.append(Embedded(state, **options))
        return made[-1]

    yield make
    for instance in made:
        if instance.process:
            instance.stop()
