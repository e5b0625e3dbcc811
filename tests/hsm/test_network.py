"""An appliance that dies, hangs and comes back, with a real process behind it."""

import pytest

from hsm.client import HSM
from hsm.config import load_config
from hsm.errors import AllMembersDown, MemberUnavailable
from hsm.stats import calls_made
from tests.hsm.conftest import create_key
from tests.support.pkcs11_standins import NetworkHSM
from tests.support.waiting import wait_until


@pytest.fixture
def appliance(token, tmp_path, monkeypatch):
    appliance = NetworkHSM(tmp_path, token, timeout_ms=300, sticky=True)
    for name, value in appliance.environment.items():
        monkeypatch.setenv(name, value)
    yield appliance
    appliance.kill()


@pytest.fixture
def hsm(token, appliance):
    file = token.config_file(appliance.module)
    hsm = HSM(load_config(file, pool_size=4, wait_s=1, cache_max_keys=10))
    yield hsm
    hsm._group._closing.set()


def up(hsm):
    return hsm.status()[0].state == "up"


class TestKill:
    def test_fails_fast_and_recovers_by_itself(self, hsm, appliance):
        appliance.start()
        key = create_key(hsm, hsm.generate_mkek(label="m"))
        hsm.expect([key])
        sealed = hsm.encrypt(key, b"secret", aad=b"")
        appliance.kill()

        before = calls_made()
        for _ in range(20):
            with pytest.raises(MemberUnavailable):
                hsm.decrypt(key, sealed, aad=b"")
        assert calls_made() - before == 1

        appliance.start()
        wait_until(lambda: up(hsm))
        assert hsm.decrypt(key, sealed, aad=b"") == b"secret"

    def test_a_restart_between_two_requests_goes_unnoticed(self, token, tmp_path, monkeypatch):
        appliance = NetworkHSM(tmp_path, token)
        for name, value in appliance.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("P11NET_STICKY", raising=False)
        appliance.start()
        hsm = HSM(load_config(token.config_file(appliance.module), pool_size=4, wait_s=1, cache_max_keys=10))
        key = create_key(hsm, hsm.generate_mkek(label="m"))
        sealed = hsm.encrypt(key, b"secret", aad=b"")

        appliance.kill()
        appliance.start()
        try:
            wait_until(lambda: _opens(hsm, key, sealed))
        finally:
            hsm.close()
            appliance.kill()

    def test_an_appliance_that_is_off_at_start_is_used_once_it_is_on(self, hsm, appliance):
        with pytest.raises(MemberUnavailable):
            hsm.start()
        appliance.start()

        wait_until(lambda: up(hsm))
        assert len(hsm.random(5)) == 5


class TestHang:
    def test_costs_one_call_that_hangs_and_then_none(self, hsm, appliance):
        appliance.start()
        key = create_key(hsm, hsm.generate_mkek(label="m"))
        sealed = hsm.encrypt(key, b"secret", aad=b"")
        appliance.stop()
        try:
            before = calls_made()
            with pytest.raises(MemberUnavailable):
                hsm.decrypt(key, sealed, aad=b"")
            assert calls_made() - before == 1
            with pytest.raises(MemberUnavailable):
                hsm.decrypt(key, sealed, aad=b"")
            assert calls_made() - before == 1
        finally:
            appliance.go_on()
        wait_until(lambda: up(hsm), timeout_s=10)
        assert hsm.decrypt(key, sealed, aad=b"") == b"secret"


class TestTwoMembers:
    """Two appliances before one token: the same keys, as after cloning."""

    def test_the_other_one_answers_when_one_dies(self, token, tmp_path, monkeypatch):
        appliances = []
        sections = ""
        hsm = None
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            appliances.append(NetworkHSM(tmp_path / name, token, timeout_ms=300).start())
            sections += (
                f'[[members]]\nname = "{name}"\nmodule = "{appliances[-1].module}"\n'
                f'token_label = "{token.label}"\npin_file = "pin"\n'
            )
        file = token.folder / "two.toml"
        file.write_text(f'profile = "softhsm"\n{sections}')
        try:
            hsm = HSM(load_config(file, pool_size=4, wait_s=1, cache_max_keys=10))
            for member, appliance in zip(hsm._group.members, appliances, strict=True):
                for name, value in appliance.environment.items():
                    monkeypatch.setenv(name, value)
                member.start()
            key = create_key(hsm, hsm.generate_mkek(label="m"))
            sealed = hsm.encrypt(key, b"secret", aad=b"")

            appliances[0].kill()
            assert [hsm.decrypt(key, sealed, aad=b"") for _ in range(10)] == [b"secret"] * 10
            appliances[1].kill()
            with pytest.raises(MemberUnavailable):
                hsm.decrypt(key, sealed, aad=b"")
            with pytest.raises(AllMembersDown) as failure:
                hsm.decrypt(key, sealed, aad=b"")
            assert failure.value.retry_after_s >= 1
        finally:
            if hsm is not None:
                hsm._group._closing.set()
            for appliance in appliances:
                appliance.kill()


def _opens(hsm, key, sealed):
    try:
        return hsm.decrypt(key, sealed, aad=b"") == b"secret"
    except MemberUnavailable:
        return False
