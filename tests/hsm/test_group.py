"""Two members with the same MKEK: who serves, who steps in, who comes back."""

import fcntl
import threading
from dataclasses import replace

import pytest

from hsm import prober
from hsm.errors import (
    AllMembersDown,
    CanaryMismatch,
    IntegrityFailed,
    LoginRefused,
    MemberUnavailable,
    MKEKNotFound,
    PoolExhausted,
)
from hsm.member import State
from hsm.stats import Calls
from tests.hsm.conftest import states
from tests.support.waiting import wait_until

AAD = b"whose it is"
TOPOLOGIES = ["two modules", "two slots"]


@pytest.fixture(autouse=True)
def _quick_probes(monkeypatch):
    monkeypatch.setattr(prober, "FIRST_PAUSE_S", 0.05)
    monkeypatch.setattr(prober, "LONGEST_PAUSE_S", 0.2)


@pytest.fixture(params=TOPOLOGIES)
def pair(request, make_pair):
    return make_pair(topology=request.param)


@pytest.fixture
def two_modules(make_pair):
    return make_pair()


@pytest.fixture
def hsm(pair):
    hsm = pair.hsm()
    hsm.start()
    return hsm


@pytest.fixture
def key(pair, hsm):
    return pair.key(hsm)


@pytest.fixture
def sealed(hsm, key):
    return hsm.encrypt(key, b"secret", aad=AAD)


def member(hsm, name):
    return next(member for member in hsm._group.members if member.config.name == name)


def calls(hsm, name, verb):
    (status,) = [status for status in hsm.status() if status.name == name]
    return status.verbs[verb].calls if verb in status.verbs else 0


def started(pair, **how):
    hsm = pair.hsm(**how)
    hsm.start()
    return hsm


class TestChoice:
    def test_a_key_made_on_one_member_opens_on_each(self, hsm, key, sealed):
        for _ in range(8):
            assert hsm.decrypt(key, sealed, aad=AAD) == b"secret"

        assert calls(hsm, "a", "decrypt") > 0
        assert calls(hsm, "b", "decrypt") > 0

    def test_the_one_with_fewest_requests_inside_serves(self, two_modules):
        pair, hsm = two_modules, started(two_modules)
        key = pair.key(hsm)
        sealed = hsm.encrypt(key, b"secret", aad=AAD)
        with pair.shims["a"].holding("C_GenerateRandom"):
            thread = threading.Thread(target=member(hsm, "a").serve, args=(lambda c: c.random(1),))
            thread.start()
            wait_until(lambda: pair.shims["a"].held == 1)
            before = calls(hsm, "a", "decrypt")

            for _ in range(10):
                hsm.decrypt(key, sealed, aad=AAD)

            assert calls(hsm, "a", "decrypt") == before
        thread.join()

    def test_of_two_idle_ones_the_quicker_serves(self, hsm):
        member(hsm, "a").calls.average_s = lambda now: 0.002
        member(hsm, "b").calls.average_s = lambda now: 0.001

        assert {hsm._group._choose(hsm._group.members).config.name for _ in range(5)} == {"b"}

    def test_of_two_alike_each_has_its_turn(self, hsm):
        member(hsm, "a").calls.average_s = lambda now: 0.0011
        member(hsm, "b").calls.average_s = lambda now: 0.001

        assert {hsm._group._choose(hsm._group.members).config.name for _ in range(5)} == {"a", "b"}

    def test_a_standby_serves_only_when_nobody_else_does(self, make_pair):
        pair = make_pair(standby=True)
        hsm = started(pair)
        key = pair.key(hsm)
        sealed = hsm.encrypt(key, b"secret", aad=AAD)
        before = calls(hsm, "b", "decrypt")  # at start each member tries what its profile says
        for _ in range(10):
            hsm.decrypt(key, sealed, aad=AAD)
        assert calls(hsm, "b", "decrypt") == before

        pair.shims["a"].answer(0x30)
        assert hsm.decrypt(key, sealed, aad=AAD) == b"secret"
        assert calls(hsm, "b", "decrypt") == before + 1

        pair.shims["a"].clear()
        wait_until(lambda: states(hsm)["a"] == "up")
        hsm.decrypt(key, sealed, aad=AAD)
        assert calls(hsm, "b", "decrypt") == before + 1

    def test_a_member_may_have_more_weight(self, hsm):
        a, b = hsm._group.members
        a.config = replace(a.config, weight=3)
        a.gate._inside, b.gate._inside = {1: 0.0, 2: 0.0}, {1: 0.0}
        try:
            assert hsm._group._choose(hsm._group.members) is a
        finally:
            a.gate._inside, b.gate._inside = {}, {}


class TestFailover:
    def test_no_request_fails_while_a_member_goes_and_comes_back(self, two_modules, monkeypatch):
        monkeypatch.setattr(Calls, "average_s", lambda calls, now: 0.0)  # so that they take turns
        pair = two_modules
        hsm = started(pair)
        key = pair.key(hsm)
        hsm.expect([key])
        sealed = hsm.encrypt(key, b"secret", aad=AAD)
        for name in ("a", "b", "a"):
            member(hsm, name)._trips.clear()
            pair.shims[name].answer(0x30)
            assert [hsm.decrypt(key, sealed, aad=AAD) for _ in range(20)] == [b"secret"] * 20
            assert states(hsm)[name] == "down"

            pair.shims[name].clear()
            wait_until(lambda name=name: states(hsm)[name] == "up")
        assert hsm.status()[0].tally.trips == 2
        assert hsm.status()[0].tally.recoveries == 2

    def test_a_member_is_asked_once_more_at_most(self, two_modules):
        hsm = started(two_modules)
        for shim in two_modules.shims.values():
            shim.answer(0x05, "C_GenerateRandom")
        before = sum(shim.calls().get("C_GenerateRandom", 0) for shim in two_modules.shims.values())

        with pytest.raises(Exception, match="0x5"):
            hsm.random(8)

        after = sum(shim.calls()["C_GenerateRandom"] for shim in two_modules.shims.values())
        assert after - before == 2

    def test_both_gone_is_told_at_once_and_without_a_call(self, two_modules):
        hsm = started(two_modules)
        key = two_modules.key(hsm)
        sealed = hsm.encrypt(key, b"secret", aad=AAD)
        for shim in two_modules.shims.values():
            shim.answer(0x30)
        with pytest.raises(AllMembersDown):
            hsm.decrypt(key, sealed, aad=AAD)

        before = [calls(hsm, name, "decrypt") for name in "ab"]
        for _ in range(50):
            with pytest.raises(AllMembersDown) as failure:
                hsm.decrypt(key, sealed, aad=AAD)
        assert failure.value.retry_after_s >= 1
        assert [calls(hsm, name, "decrypt") for name in "ab"] == before

        for shim in two_modules.shims.values():
            shim.clear()
        wait_until(lambda: states(hsm) == {"a": "up", "b": "up"})
        assert hsm.decrypt(key, sealed, aad=AAD) == b"secret"

    def test_nothing_is_tried_elsewhere_once_the_budget_is_spent(self, two_modules):
        hsm = started(two_modules, extra="budget_ms = 1")
        member(hsm, "b").config = replace(member(hsm, "b").config, weight=0)
        two_modules.shims["a"].delay(3000)
        two_modules.shims["a"].answer(0x30, "C_GenerateRandom", times=1)

        with pytest.raises(Exception, match="a is down"):
            hsm.random(8)
        assert calls(hsm, "b", "random") == 0

    def test_a_tampered_ciphertext_is_not_tried_elsewhere(self, two_modules):
        hsm = started(two_modules)
        key = two_modules.key(hsm)
        hsm.expect([key])
        sealed = hsm.encrypt(key, b"secret", aad=AAD)
        before = sum(calls(hsm, name, "decrypt") for name in "ab")

        with pytest.raises(IntegrityFailed):
            hsm.decrypt(key, sealed, aad=b"another")

        assert sum(calls(hsm, name, "decrypt") for name in "ab") - before == 2  # itself and the canary
        assert states(hsm) == {"a": "up", "b": "up"}

    def test_a_pool_that_is_used_up_leads_to_the_other_member(self, make_pair):
        pair = make_pair(standby=True)
        hsm = started(pair, pool_size=1, wait_s=0.2)
        key = pair.key(hsm)
        sealed = hsm.encrypt(key, b"secret", aad=AAD)
        with pair.shims["a"].holding("C_Decrypt"):
            thread = threading.Thread(target=hsm.decrypt, args=(key, sealed), kwargs={"aad": AAD})
            thread.start()
            wait_until(lambda: pair.shims["a"].held == 1)
            before = calls(hsm, "b", "decrypt")

            assert hsm.decrypt(key, sealed, aad=AAD) == b"secret"

            assert calls(hsm, "b", "decrypt") == before + 1
            assert hsm.status()[0].tally.pool_waits == 1
        thread.join()

    def test_a_lone_member_whose_pool_is_used_up_says_so(self, make_pair):
        pair = make_pair()
        hsm = started(pair, pool_size=1, wait_s=0.1)
        hsm._group.members = hsm._group.members[:1]
        with pair.shims["a"].holding("C_GenerateRandom"):
            thread = threading.Thread(target=hsm.random, args=(1,))
            thread.start()
            wait_until(lambda: pair.shims["a"].held == 1)

            with pytest.raises(PoolExhausted):
                hsm.random(1)
        thread.join()
        hsm._group.close()


class TestEviction:
    def test_a_key_that_cannot_be_destroyed_now_fails_no_request(self, make_pair):
        pair = make_pair(standby=True)
        hsm = started(pair, pool_size=1, wait_s=0.1)
        first, second = pair.key(hsm), pair.key(hsm)
        sealed = hsm.encrypt(first, b"secret", aad=AAD)
        keepers = member(hsm, "a")._connection.keepers
        session = keepers.take()  # the only one that may destroy

        hsm.forget(first.key_id)

        keepers.give(session)
        assert hsm.status()[0].failed_destroys == 1
        assert hsm.decrypt(first, sealed, aad=AAD) == b"secret"
        assert hsm.encrypt(second, b"x", aad=AAD)


class TestTwoSlots:
    """One module: it must not be finalised while the other slot works."""

    @pytest.fixture
    def pair(self, make_pair):
        return make_pair(topology="two slots")

    def test_a_member_comes_back_without_finalising_the_module(self, pair, hsm, key, sealed):
        shim = pair.shims["a"]
        hsm.expect([key])
        shim.answer(0x30, "C_Decrypt", times=1)

        with shim.counting() as counted:
            assert hsm.decrypt(key, sealed, aad=AAD) == b"secret"
            assert sorted(states(hsm).values()) == ["down", "up"]
            wait_until(lambda: states(hsm) == {"a": "up", "b": "up"})

        assert "C_Finalize" not in counted
        assert counted["C_CloseAllSessions"] == 1
        assert counted["C_Login"] == 1

    def test_requests_on_the_other_slot_go_on_meanwhile(self, pair, hsm, key, sealed):
        stop, opened = threading.Event(), []

        def read():
            while not stop.is_set():
                opened.append(hsm.decrypt(key, sealed, aad=AAD))

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(2):
            done = len(opened)
            pair.shims["a"].answer(0x30, "C_DecryptInit", times=1)
            wait_until(lambda: any(member.tally.trips for member in hsm._group.members))
            wait_until(lambda: all(state.serves for state in map(State, states(hsm).values())))
            wait_until(lambda done=done: len(opened) > done + 20)
        stop.set()
        for thread in threads:
            thread.join()

        assert {*opened} == {b"secret"}
        assert "C_Finalize" not in pair.shims["a"].calls()

    def test_once_both_are_down_the_module_is_initialised_anew(self, pair, hsm, key, sealed):
        shim = pair.shims["a"]
        shim.answer(0x30)
        with pytest.raises(AllMembersDown):
            hsm.decrypt(key, sealed, aad=AAD)
        shim.clear()

        wait_until(lambda: states(hsm) == {"a": "up", "b": "up"})

        assert shim.calls()["C_Finalize"] >= 1
        assert hsm.decrypt(key, sealed, aad=AAD) == b"secret"

    def test_a_slot_that_is_away_does_not_keep_the_other_from_being_found(self, pair):
        shim = pair.shims["a"]
        hsm = pair.hsm()
        shim.answer(0xE1, "C_GetTokenInfo", times=1)

        hsm.start()

        wait_until(lambda: states(hsm) == {"a": "up", "b": "up"})

    def test_sessions_lost_on_one_slot_are_opened_anew_there(self, pair, hsm, key, sealed):
        connection = member(hsm, "a")._connection
        connection._native.close_all_sessions(connection.slot)

        with pair.shims["a"].counting() as counted:
            assert [hsm.decrypt(key, sealed, aad=AAD) for _ in range(10)] == [b"secret"] * 10

        assert "C_Finalize" not in counted
        assert counted["C_Login"] == 1


class TestStart:
    def test_a_member_that_hangs_keeps_no_other_from_serving(self, two_modules):
        hsm = two_modules.hsm()
        with two_modules.shims["a"].holding("C_Login"):
            assert len(hsm.random(8)) == 8
            assert states(hsm) == {"a": "starting", "b": "up"}
        wait_until(lambda: states(hsm)["a"] == "up")

    @pytest.mark.parametrize("shared", ["pin_file", "pin_env"])
    def test_nor_if_both_share_one_pin(self, two_modules, shared, monkeypatch):
        monkeypatch.setenv("PIN_OF_BOTH", two_modules.a.pin)
        one_pin = (
            f'pin_file = "{two_modules.a.pin_file}"' if shared == "pin_file" else 'pin_env = "PIN_OF_BOTH"'
        )
        hsm = two_modules.hsm(pin=one_pin)
        lock = hsm.config.members[0].pin.lock_path
        lock.touch()
        with lock.open() as held, two_modules.shims["a"].holding("C_Login"):
            fcntl.flock(held, fcntl.LOCK_EX)  # as another process does whose login to a hangs
            assert len(hsm.random(8)) == 8
            assert states(hsm) == {"a": "starting", "b": "up"}
            assert two_modules.shims["a"].held == 0
            fcntl.flock(held, fcntl.LOCK_UN)
            wait_until(lambda: two_modules.shims["a"].held)
        wait_until(lambda: states(hsm)["a"] == "up")

    def test_a_member_without_the_mkek_is_quarantined_and_the_other_serves(self, two_modules):
        first = started(two_modules)
        key = two_modules.key(first)
        sealed = first.encrypt(key, b"secret", aad=AAD)
        remove_mkek(first, "b")
        first.close()
        hsm = two_modules.hsm()
        hsm.expect([key])

        hsm.start()

        assert states(hsm) == {"a": "up", "b": "quarantined"}
        assert hsm.status()[1].last_error == "MKEKNotFound"
        assert hsm.decrypt(key, sealed, aad=AAD) == b"secret"

    def test_a_member_with_another_key_of_that_id_is_quarantined(self, two_modules):
        first = started(two_modules)
        key = two_modules.key(first)
        remove_mkek(first, "b")
        first.close()
        two_modules.b.import_key(b"\x77" * 32, label="imposter", key_id=two_modules.mkek_id)
        hsm = two_modules.hsm()
        hsm.expect([key])

        hsm.start()

        assert states(hsm) == {"a": "up", "b": "quarantined"}
        assert hsm.status()[1].last_error == "CanaryMismatch"

    def test_a_member_with_a_wrong_pin_is_quarantined_and_tried_once(self, two_modules):
        two_modules.b.pin_file.write_text("9999")
        hsm = two_modules.hsm()

        hsm.start()

        assert states(hsm) == {"a": "up", "b": "quarantined"}
        assert two_modules.shims["b"].calls()["C_Login"] == 1
        assert len(hsm.random(8)) == 8

    def test_none_that_can_serve_says_why_of_each(self, two_modules):
        for token in (two_modules.a, two_modules.b):
            token.pin_file.write_text("9999")
        hsm = two_modules.hsm()

        with pytest.raises(AllMembersDown, match=r"a quarantined .*b quarantined"):
            hsm.start()


class TestLookAgain:
    def test_a_pin_that_was_refused_is_not_tried_again(self, two_modules):
        two_modules.b.pin_file.write_text("9999")
        hsm = two_modules.hsm()
        hsm.start()

        hsm.look_again("b")

        wait_until(lambda: history(hsm, "b")[-2:] == ["recovering", "quarantined"])
        assert two_modules.shims["b"].calls()["C_Login"] == 1

    def test_a_corrected_pin_is_and_the_member_serves(self, two_modules):
        two_modules.b.pin_file.write_text("9999")
        hsm = two_modules.hsm()
        hsm.start()
        two_modules.b.pin_file.write_text("1234")

        hsm.look_again("b", pin=two_modules.hsm().config.members[1].pin)

        wait_until(lambda: states(hsm)["b"] == "up")

    def test_one_that_is_not_quarantined_is_left_alone(self, two_modules):
        hsm = two_modules.hsm()
        hsm.start()

        hsm.look_again("a")

        assert history(hsm, "a") == ["up"]


def history(hsm, name):
    """Its states, one after the other."""
    status = next(status for status in hsm.status() if status.name == name)
    return [change.state for change in status.history]


class TestExpect:
    def test_a_running_member_that_lacks_a_new_mkek_is_quarantined_if_the_other_has_it(self, two_modules):
        hsm = started(two_modules)
        mkek = hsm._group.members[0].serve(
            lambda connection: connection.generate_mkek(label="new"), once=True
        )
        key = hsm._group.members[0].serve(
            lambda connection: connection.create_key(
                mkek_id=mkek.mkek_id, key_id="k", canary_plaintext=b"c", canary_aad=b"a"
            )
        )

        hsm.expect([key])

        assert states(hsm) == {"a": "up", "b": "quarantined"}
        sealed = hsm.encrypt(key, b"secret", aad=AAD)
        assert hsm.decrypt(key, sealed, aad=AAD) == b"secret"

    def test_one_that_nobody_opens_is_refused_and_all_serve_on(self, two_modules):
        hsm = started(two_modules)
        key = two_modules.key(hsm)

        with pytest.raises(CanaryMismatch):
            hsm.expect([replace(key, key_id="bad", wrapped=bytes(40))])
        with pytest.raises(MKEKNotFound):
            hsm.expect([replace(key, key_id="unknown", mkek_id=bytes(16))])

        assert states(hsm) == {"a": "up", "b": "up"}

    def test_a_member_that_was_away_has_to_prove_it_before_it_serves_again(self, two_modules):
        hsm = started(two_modules)
        key = two_modules.key(hsm)
        two_modules.shims["b"].answer(0x30)
        bring_down(hsm, "b")
        hsm.expect([key])
        two_modules.shims["b"].answer(0x05, "C_UnwrapKey")  # its canary does not open

        wait_until(lambda: states(hsm)["b"] == "quarantined")
        assert hsm.status()[1].last_error == "CanaryMismatch"


class TestMKEKGoesMissing:
    def test_the_other_member_answers_and_this_one_is_quarantined(self, make_pair):
        pair = make_pair(standby=True)
        hsm = started(pair)
        key = pair.key(hsm)
        hsm.expect([key])
        sealed = hsm.encrypt(key, b"secret", aad=AAD)
        remove_mkek(hsm, "a")
        hsm.forget(key.key_id)

        assert hsm.decrypt(key, sealed, aad=AAD) == b"secret"

        assert states(hsm) == {"a": "quarantined", "b": "up"}


class TestLoginLost:
    def test_a_login_that_is_refused_afterwards_quarantines_and_the_other_answers(self, make_pair):
        pair = make_pair(standby=True)
        hsm = started(pair)
        key = pair.key(hsm)
        sealed = hsm.encrypt(key, b"secret", aad=AAD)
        pair.shims["a"].answer(0xA0, "C_Login")
        connection = member(hsm, "a")._connection
        connection._native.close_all_sessions(connection.slot)

        assert hsm.decrypt(key, sealed, aad=AAD) == b"secret"

        assert states(hsm) == {"a": "quarantined", "b": "up"}
        assert isinstance(member(hsm, "a").error, LoginRefused)
        assert pair.shims["a"].calls()["C_Login"] == 2  # at start, and the one that was refused


class TestHang:
    @pytest.fixture
    def slow(self, make_pair):
        pair = make_pair(standby=True)
        hsm = started(pair, extra="soft_hang_ms = 50")
        key = pair.key(hsm)
        return pair, hsm, key, hsm.encrypt(key, b"secret", aad=AAD)

    def test_a_member_with_a_call_that_hangs_is_suspect_and_avoided_until_the_call_ends(self, slow):
        pair, hsm, key, sealed = slow
        with pair.shims["a"].holding("C_Decrypt"):
            thread = threading.Thread(target=hsm.decrypt, args=(key, sealed), kwargs={"aad": AAD})
            thread.start()
            wait_until(lambda: states(hsm)["a"] == "suspect")
            before = calls(hsm, "b", "decrypt")

            assert hsm.decrypt(key, sealed, aad=AAD) == b"secret"
            assert pair.shims["a"].held == 1
            assert calls(hsm, "b", "decrypt") == before + 1
        thread.join()
        wait_until(lambda: states(hsm)["a"] == "up")

    def test_a_suspect_still_serves_if_nobody_else_does(self, slow):
        pair, hsm, key, sealed = slow
        with pair.shims["a"].holding("C_Decrypt"):
            thread = threading.Thread(target=hsm.decrypt, args=(key, sealed), kwargs={"aad": AAD})
            thread.start()
            wait_until(lambda: states(hsm)["a"] == "suspect")
            pair.shims["b"].answer(0x30)

            assert len(hsm.random(8)) == 8

            assert states(hsm) == {"a": "suspect", "b": "down"}
        thread.join()

    def test_the_process_asks_to_be_replaced_once_when_a_call_hangs_for_good(self, make_pair):
        pair = make_pair()
        hsm = started(pair, extra="hard_hang_s = 1")
        asked = []
        hsm.replace_when_stuck(asked.append, threads=8)
        with pair.shims["a"].holding("C_GenerateRandom"):
            thread = threading.Thread(target=member(hsm, "a").serve, args=(lambda c: c.random(1),))
            thread.start()
            wait_until(lambda: asked)
        thread.join()

        assert asked == ["1 HSM calls have hung for 1 s"]

    def test_more_than_half_of_the_threads_are_enough(self, make_pair):
        pair = make_pair()
        hsm = started(pair, extra="hard_hang_s = 3")
        asked = []
        hsm.replace_when_stuck(asked.append, threads=3)
        with pair.shims["a"].holding("C_GenerateRandom"):
            threads = [
                threading.Thread(target=member(hsm, "a").serve, args=(lambda c: c.random(1),))
                for _ in range(2)
            ]
            for thread in threads:
                thread.start()
            wait_until(lambda: asked)
        for thread in threads:
            thread.join()

        assert asked == ["2 of 3 threads have hung in the HSM for 1 s"]

    def test_a_probe_that_hangs_does_not_keep_the_other_member_down(self, two_modules, monkeypatch):
        monkeypatch.setattr(prober, "_STUCK_S", 0.2)
        hsm = started(two_modules)
        with two_modules.shims["a"].holding("C_Initialize"):
            for name in "ab":
                broken = member(hsm, name)
                broken._trip(broken._connection, ValueError("as if the token were gone"))
            wait_until(lambda: two_modules.shims["a"].held == 1)

            wait_until(lambda: states(hsm)["b"] == "up")
            assert states(hsm)["a"] == "recovering"
        wait_until(lambda: states(hsm)["a"] == "up")


class TestHeartbeat:
    @pytest.mark.parametrize("died", ["a", "b"])
    def test_a_member_that_dies_while_nobody_asks_it_is_noticed_and_comes_back(self, make_pair, died):
        pair = make_pair(standby=True)
        hsm = pair.hsm(extra="heartbeat_s = 1")
        hsm.start()
        hsm.expect([pair.key(hsm)])

        pair.shims[died].answer(0x30)

        wait_until(lambda: states(hsm)[died] == "down")
        pair.shims[died].clear()
        wait_until(lambda: states(hsm) == {"a": "up", "b": "up"})

    def test_one_that_serves_meanwhile_is_left_alone(self, two_modules):
        hsm = started(two_modules)
        with two_modules.shims["a"].counting() as calls_made:
            assert member(hsm, "a").probe()
            assert not member(hsm, "a").is_forgotten()

        assert not calls_made


class TestFlapping:
    def test_a_member_that_went_down_three_times_in_five_minutes_is_asked_last(self, make_pair):
        pair = make_pair(standby=True)
        hsm = started(pair)
        a = member(hsm, "a")
        for _ in range(3):
            wait_until(lambda: a.state.serves)
            a._trip(a._connection, ValueError("as if the token were gone"))

        wait_until(lambda: states(hsm)["a"] == "suspect")

        before = calls(hsm, "b", "random")
        hsm.random(8)
        assert calls(hsm, "b", "random") == before + 1
        assert "3 times" in hsm.status()[0].history[-1].reason

    def test_nor_is_one_trusted_that_keeps_losing_its_login(self, make_pair):
        pair = make_pair(standby=True)
        hsm = started(pair)
        key = pair.key(hsm)
        sealed = hsm.encrypt(key, b"secret", aad=b"")
        for _ in range(3):
            pair.shims["a"].answer(0x101, "C_DecryptInit", times=1)
            assert hsm.decrypt(key, sealed, aad=b"") == b"secret"

        assert states(hsm) == {"a": "suspect", "b": "up"}
        before = calls(hsm, "b", "random")
        hsm.random(8)
        assert calls(hsm, "b", "random") == before + 1

    def test_five_minutes_later_it_is_trusted_again(self, two_modules):
        hsm = started(two_modules)
        a = member(hsm, "a")
        for _ in range(3):
            wait_until(lambda: a.state.serves)
            a._trip(a._connection, ValueError("as if the token were gone"))
        wait_until(lambda: states(hsm)["a"] == "suspect")

        a._trips.extend([since - 301 for since in a._trips])

        wait_until(lambda: states(hsm)["a"] == "up")


class TestStatus:
    def test_holds_what_happened_with_a_moment_and_a_reason(self, two_modules):
        hsm = started(two_modules)
        key = two_modules.key(hsm)
        hsm.expect([key])
        two_modules.shims["a"].answer(0x30)
        bring_down(hsm, "a")
        two_modules.shims["a"].clear()
        wait_until(lambda: states(hsm)["a"] == "up")

        (a, b) = hsm.status()

        assert [change.state for change in a.history if change.state != "recovering"][:3] == [
            "up",
            "down",
            "up",
        ]
        assert "0x30" in next(change.reason for change in a.history if change.state == "down")
        assert all(change.at.tzinfo for change in a.history)
        assert a.failures["member"] >= 1
        assert b.failures == {}
        assert a.last_canary_at is not None
        assert sum(verb.failed for verb in a.verbs.values()) >= 1


def bring_down(hsm, name):
    with pytest.raises(MemberUnavailable):
        member(hsm, name).serve(lambda connection: connection.random(1))


def remove_mkek(hsm, name):
    connection = member(hsm, name)._connection
    mkeks = connection.mkeks()
    connection._native.destroy(connection.owner, connection._mkek(mkeks[0].mkek_id))
