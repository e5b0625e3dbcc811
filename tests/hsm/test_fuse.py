"""A token that hangs costs whoever calls it the client's time-out: nobody calls it once more."""

import threading

import pytest

from hsm import prober
from hsm.faults import CallFailed
from hsm.fuse import Fuse
from tests.hsm.conftest import states
from tests.support.waiting import wait_until

AAD = b"whose it is"
AWAY = 0x30


@pytest.fixture(autouse=True)
def _no_probes(monkeypatch):
    monkeypatch.setattr(prober, "FIRST_PAUSE_S", 3600.0)


@pytest.fixture
def pair(make_pair):
    return make_pair(standby=True)


# What is asked, in which call the token goes away, and every call that it then has seen.
REQUESTS = {
    "decrypt, first call": ("decrypt", "C_DecryptInit", {"C_DecryptInit": 1}),
    "decrypt, second call": ("decrypt", "C_Decrypt", {"C_DecryptInit": 1, "C_Decrypt": 1}),
    "encrypt": ("encrypt", "C_Encrypt", {"C_EncryptInit": 1, "C_Encrypt": 1}),
    "unwrap": ("cold", "C_UnwrapKey", {"C_UnwrapKey": 1}),
    "decrypt after unwrap": ("cold", "C_DecryptInit", {"C_UnwrapKey": 1, "C_DecryptInit": 1}),
    "random": ("random", "C_GenerateRandom", {"C_GenerateRandom": 1}),
    "wrap a new key": ("create", "C_WrapKey", {"C_GenerateKey": 1, "C_WrapKey": 1}),
    "wrap anew": ("rewrap", "C_WrapKey", {"C_UnwrapKey": 1, "C_WrapKey": 1}),
    "open the canary of what was wrapped anew": (
        *("rewrap", "C_DecryptInit"),
        {"C_UnwrapKey": 2, "C_WrapKey": 1, "C_DestroyObject": 1, "C_DecryptInit": 1},
    ),
}


class TestOneRequest:
    @pytest.mark.parametrize(("verb", "function", "calls"), REQUESTS.values(), ids=[*REQUESTS])
    def test_makes_no_call_after_the_one_that_found_the_token_away(self, pair, verb, function, calls):
        hsm = pair.hsm()
        hsm.start()
        key = pair.key(hsm)
        sealed = hsm.encrypt(key, b"secret", aad=AAD)
        if verb == "cold":
            hsm.forget(key.key_id)
        shim = pair.shims["a"]
        shim.answer(AWAY, function)

        with shim.counting() as seen:
            {
                "decrypt": lambda: hsm.decrypt(key, sealed, aad=AAD),
                "cold": lambda: hsm.decrypt(key, sealed, aad=AAD),
                "encrypt": lambda: hsm.encrypt(key, b"x", aad=AAD),
                "random": lambda: hsm.random(8),
                "create": lambda: pair.key(hsm),
                "rewrap": lambda: hsm.rewrap(key, mkek_id=key.mkek_id),
            }[verb]()

        assert seen == calls
        assert states(hsm) == {"a": "down", "b": "up"}


class TestWaitingRequests:
    def test_one_that_waited_for_a_session_opens_none_on_a_token_that_went_away(self, pair):
        hsm = pair.hsm(pool_size=1)
        hsm.start()
        key = pair.key(hsm)
        sealed = hsm.encrypt(key, b"secret", aad=AAD)
        shim, opened = pair.shims["a"], []
        with shim.holding("C_Decrypt"), shim.counting() as seen:
            threads = [
                threading.Thread(target=lambda: opened.append(hsm.decrypt(key, sealed, aad=AAD)))
                for _ in range(2)
            ]
            for thread in threads:
                thread.start()
            wait_until(lambda: shim.held == 1 and hsm.status()[0].tally.pool_waits == 1)

            shim.answer(AWAY, "C_Decrypt")
            shim.release()
            for thread in threads:
                thread.join()

        assert opened == [b"secret"] * 2
        assert seen == {"C_DecryptInit": 1, "C_Decrypt": 1}


class TestFuse:
    @pytest.mark.parametrize("rv", [0x30, 0x32, 0xE0, 0x190])
    def test_blows_for_good_when_the_token_is_away(self, rv):
        fuse = Fuse()

        fuse.note(CallFailed(rv, "C_Decrypt"))

        with pytest.raises(CallFailed):
            fuse.refuse_if_blown()

    @pytest.mark.parametrize("rv", [0x05, 0x40, 0x60, 0xB3, 0x101, 0x31, 0xA0, 0x70])
    def test_nothing_else_blows_it(self, rv):
        fuse = Fuse()

        fuse.note(CallFailed(rv, "C_Decrypt"))

        fuse.refuse_if_blown()
