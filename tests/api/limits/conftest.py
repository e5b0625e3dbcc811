import pytest

from keepsite.api import limits
from tests.support.servers.memcached import Memcached


@pytest.fixture(scope="session")
def _memcached():
    with Memcached() as server:
        yield server


@pytest.fixture
def memcached(_memcached):
    """A memcached that answers, whatever the test before did to it."""
    _memcached.flush()
    yield _memcached
    _memcached.thaw()
    if not _memcached.runs():
        _memcached.bring_back()


@pytest.fixture
def limited(settings, tmp_path, memcached):
    """Puts a limits file in force, counted in memcached."""

    def put(text, servers=(memcached.url,), processes=4):
        path = tmp_path / "limits.yaml"
        path.write_text(text)
        settings.LIMITS_FILE = str(path)
        settings.LIMITS_MEMCACHED = list(servers)
        settings.LIMITS_PROCESSES = processes
        limits.reset()

    yield put
    limits.reset()
