import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from hsm.errors import PoolExhausted
from hsm.faults import CallFailed
from hsm.handles import HandleCache
from tests.hsm.conftest import create_key, member_of
from tests.support.waiting import wait_until


class Unwraps:
    """Stands for a token: hands out handles, notes which are destroyed."""

    def __init__(self):
        self.made, self.destroyed = [], []

    def one(self):
        self.made.append(len(self.made) + 1)
        return self.made[-1]

    def destroy(self, handle):
        self.destroyed.append(handle)
        return True


@pytest.fixture
def unwraps():
    return Unwraps()


@pytest.fixture
def cache(unwraps):
    return HandleCache(limit=2, wait_s=30, destroy=unwraps.destroy)


def use(cache, unwraps, key_id):
    cache.unpin(cache.pin(key_id) or cache.load(key_id, unwraps.one))


class TestEviction:
    def test_the_least_recently_used_goes_and_is_destroyed(self, cache, unwraps):
        for key_id in ("a", "b", "a", "c"):
            use(cache, unwraps, key_id)

        assert unwraps.destroyed == [2]
        assert cache.pin("b") is None

    def test_an_entry_in_use_is_destroyed_by_its_last_user(self, cache, unwraps):
        first = cache.load("a", unwraps.one)
        second = cache.pin("a")
        use(cache, unwraps, "b")
        use(cache, unwraps, "c")

        cache.unpin(first)
        assert unwraps.destroyed == []
        cache.unpin(second)
        assert unwraps.destroyed == [1]

    def test_a_failed_destroy_is_counted(self):
        cache = HandleCache(limit=0, wait_s=1.0, destroy=lambda _: False)

        cache.unpin(cache.load("a", lambda: 1))

        assert cache.failed_destroys == 1


class TestLost:
    def test_a_lost_object_is_never_destroyed(self, cache, unwraps):
        entry = cache.load("a", unwraps.one)

        cache.lost(entry)
        cache.unpin(entry)

        assert unwraps.destroyed == []
        assert cache.pin("a") is None

    def test_a_newer_entry_of_the_same_key_stays(self, cache, unwraps):
        old = cache.load("a", unwraps.one)
        also_old = cache.pin("a")
        cache.lost(old)
        new = cache.load("a", unwraps.one)

        cache.lost(also_old)

        assert cache.pin("a") is new

    def test_its_number_must_not_come_back_while_somebody_may_use_it(self, cache, unwraps):
        entry = cache.load("a", lambda: 7)
        cache.lost(entry)

        with pytest.raises(CallFailed):
            cache.load("b", lambda: 7)
        cache.unpin(entry)
        assert cache.load("b", lambda: 7).handle == 7


class TestLoad:
    def test_many_threads_unwrap_once(self, cache, unwraps):
        go, entered = threading.Event(), []

        def slowly():
            entered.append(1)
            go.wait(5)
            return unwraps.one()

        with ThreadPoolExecutor(8) as threads:
            loads = [threads.submit(cache.load, "a", slowly) for _ in range(8)]
            wait_until(lambda: entered)
            go.set()
            entries = {load.result() for load in loads}

        assert len(entries) == 1
        assert entries.pop().users == 8
        assert unwraps.made == [1]

    def test_another_key_does_not_wait(self, cache, unwraps):
        go = threading.Event()
        with ThreadPoolExecutor(1) as threads:
            threads.submit(cache.load, "slow", lambda: (go.wait(5), unwraps.one())[1])

            assert cache.load("quick", unwraps.one).handle == 1
            go.set()

    def test_a_failed_unwrap_fails_for_all_and_is_tried_anew_by_the_next(self, cache, unwraps):
        def fail():
            raise CallFailed(0x30, "C_UnwrapKey")

        with pytest.raises(CallFailed):
            cache.load("a", fail)

        assert cache.load("a", unwraps.one).handle == 1

    def test_waiting_for_a_stuck_unwrap_ends(self, unwraps):
        cache, go = HandleCache(limit=2, wait_s=0.05, destroy=unwraps.destroy), threading.Event()
        with ThreadPoolExecutor(1) as threads:
            stuck = threads.submit(cache.load, "a", lambda: (go.wait(5), unwraps.one())[1])
            wait_until(lambda: cache._loading)

            with pytest.raises(PoolExhausted):
                cache.load("a", unwraps.one)
            go.set()
            stuck.result()


class TestOnAToken:
    def test_two_places_and_fifty_keys_under_six_threads_leak_no_stale_handle(self, make_hsm, shim):
        hsm = make_hsm(cache_max_keys=2)
        mkek = hsm.generate_mkek(label="m")
        keys = [create_key(hsm, mkek, f"key {n}") for n in range(50)]
        sealed = [hsm.encrypt(key, key.key_id.encode(), aad=b"") for key in keys]

        def work(seed):
            dice = random.Random(seed)
            for _ in range(150):
                n = dice.randrange(50)
                assert hsm.decrypt(keys[n], sealed[n], aad=b"") == keys[n].key_id.encode()
                again = hsm.encrypt(keys[n], b"x", aad=b"")
                assert hsm.decrypt(keys[n], again, aad=b"") == b"x"

        with ThreadPoolExecutor(6) as threads:
            list(threads.map(work, range(6)))

        connection = member_of(hsm)._connection
        assert len(connection.handles) == 2
        wait_until(lambda: len(connection.handles._numbers) == 2)  # what was evicted is destroyed
        calls = shim.calls()
        made = calls["C_UnwrapKey"] + calls["C_GenerateKey"] - 2  # not the MKEK, nor the one of the start
        wait_until(lambda: shim.calls()["C_DestroyObject"] == made - 2)
        assert hsm.status()[0].failed_destroys == 0

    def test_one_cold_key_under_eight_threads_is_unwrapped_once(self, hsm, key, shim):
        sealed = hsm.encrypt(key, b"x", aad=b"")
        hsm.forget(key.key_id)
        shim.delay(1000)

        with shim.counting() as calls, ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda _: hsm.decrypt(key, sealed, aad=b""), range(8)))

        assert calls["C_UnwrapKey"] == 1
