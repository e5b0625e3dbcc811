import os
import time
import uuid

import pytest

from hsm.client import HSM
from hsm.config import load_config
from tests.support.pkcs11_standins import Shim, Token


@pytest.fixture(autouse=True)
def _no_environment_of_others(monkeypatch):
    for name in [*os.environ]:
        if name.startswith(("P11", "SOFTHSM2_")):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _untroubled_token():
    """Nothing to do here: each test of this folder has a token and a shim of its own."""


@pytest.fixture
def token(tmp_path, monkeypatch):
    token = Token(tmp_path / "token")
    monkeypatch.setenv("SOFTHSM2_CONF", str(token.conf))
    return token


@pytest.fixture
def shim(token, tmp_path, monkeypatch):
    shim = Shim(tmp_path, token.module)
    for name, value in shim.environment.items():
        monkeypatch.setenv(name, value)
    return shim


@pytest.fixture
def make_hsm(token, shim):
    """HSMs of this test, closed after it."""
    made = []

    def make(*, module=None, extra="", pool_size=8, wait_s=2.0, cache_max_keys=2000):
        file = token.config_file(module or shim.module, extra)
        hsm = HSM(load_config(file, pool_size=pool_size, wait_s=wait_s, cache_max_keys=cache_max_keys))
        made.append(hsm)
        return hsm

    yield make
    shim.clear()
    for hsm in made:
        hsm.close()


@pytest.fixture
def hsm(make_hsm):
    return make_hsm()


@pytest.fixture
def mkek(hsm):
    return hsm.generate_mkek(label="keepsite-mkek-1")


def create_key(hsm, mkek, key_id=None):
    return hsm.create_key(
        mkek_id=mkek.mkek_id,
        key_id=key_id or str(uuid.uuid4()),
        canary_plaintext=b"canary",
        canary_aad=b"canary of a key",
    )


@pytest.fixture
def key(hsm, mkek):
    return create_key(hsm, mkek)


def wait_until(condition, timeout_s=5.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


def member_of(hsm):
    return hsm._group.members[0]
