import os
import secrets
import shutil
import uuid

import pytest

from hsm.client import HSM
from hsm.config import load_config
from tests.support import pkcs11_standins
from tests.support.pkcs11_standins import SOFTHSM, Shim, Token


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

    def make(*, module=None, profile="softhsm", extra="", pool_size=8, wait_s=2.0, cache_max_keys=2000):
        file = token.config_file(module or shim.module, extra, profile=profile)
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
    hsm.start()  # a request waits for it too, but on a busy machine not for long enough
    return hsm.generate_mkek(label="keepsite-mkek-1")


class Pair:
    """Members a and b: two tokens that hold the same MKEK, behind two modules or in two slots of one."""

    def __init__(self, folder, *, topology="two modules", standby=False):
        self.folder, self.standby = folder, standby
        apart = topology == "two modules"
        self.a = Token(folder / "token-a", label="a")
        self.b = (
            Token(folder / "token-b", label="b") if apart else Token.another(folder / "token-a", label="b")
        )
        self.mkek_id = secrets.token_bytes(16)
        raw = secrets.token_hex(16).encode()  # softhsm2-util does not import zero bytes
        for token in (self.a, self.b):
            token.import_key(raw, label="mkek", key_id=self.mkek_id)
        self.shims = {"a": self._shim("a", self.a)}
        self.shims["b"] = self._shim("b", self.b) if apart else self.shims["a"]
        self.made = []

    def _shim(self, name, token):
        (self.folder / name).mkdir()
        return Shim(
            self.folder / name, shutil.copy(SOFTHSM, self.folder / name / "softhsm.so"), conf=token.conf
        )

    def config_file(self, extra="", *, pin=None):
        file = self.folder / "pair.toml"
        file.write_text(
            f'profile = "softhsm"\n{pkcs11_standins.quiet(extra)}\n'
            + pkcs11_standins.member("a", self.shims["a"].module, self.a, pin=pin)
            + pkcs11_standins.member(
                "b", self.shims["b"].module, self.b, weight=int(not self.standby), pin=pin
            )
        )
        return file

    def hsm(self, *, extra="", pin=None, pool_size=8, wait_s=2.0, cache_max_keys=2000):
        hsm = HSM(
            load_config(
                self.config_file(extra, pin=pin),
                pool_size=pool_size,
                wait_s=wait_s,
                cache_max_keys=cache_max_keys,
            )
        )
        self.made.append(hsm)
        return hsm

    def key(self, hsm, key_id=None):
        return hsm.create_key(
            mkek_id=self.mkek_id,
            key_id=key_id or str(uuid.uuid4()),
            canary_plaintext=b"canary",
            canary_aad=b"canary of a key",
        )

    def close(self):
        for shim in self.shims.values():
            shim.clear()
        for hsm in self.made:
            hsm.close()
        self.made.clear()


@pytest.fixture
def make_pair(tmp_path, monkeypatch):
    """Pairs of this test, closed after it."""
    made = []

    def make(**how):
        folder = tmp_path / f"pair-{len(made)}"
        pair = Pair(folder, **how)
        monkeypatch.setenv("SOFTHSM2_CONF", str(pair.a.conf))  # the shims change it: have it put back
        made.append(pair)
        return pair

    yield make
    for pair in made:
        pair.close()


def states(hsm):
    return {member.name: str(member.state) for member in hsm.status()}


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


def member_of(hsm):
    return hsm._group.members[0]
