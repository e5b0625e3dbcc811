import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from hsm.errors import PoolExhausted
from hsm.faults import CallFailed
from hsm.pool import SessionPool
from tests.hsm.conftest import create_key
from tests.support.waiting import wait_until


class TestTake:
    def test_exhaustion_is_told_after_the_wait(self, make_hsm, shim):
        hsm = make_hsm(pool_size=2, wait_s=0.3)
        key = create_key(hsm, hsm.generate_mkek(label="m"))
        with shim.holding("C_Encrypt"), ThreadPoolExecutor(2) as threads:
            for _ in range(2):
                threads.submit(hsm.encrypt, key, b"x", aad=b"")
            wait_until(lambda: shim.held == 2)

            started = time.monotonic()
            with pytest.raises(PoolExhausted):
                hsm.encrypt(key, b"x", aad=b"")
            assert time.monotonic() - started > 0.25
            shim.clear()

        assert hsm.status()[0].state == "up"
        hsm.encrypt(key, b"x", aad=b"")

    def test_last_in_is_first_out(self):
        pool = make_pool()
        a, b = pool.take(), pool.take()
        pool.give(a)
        pool.give(b)

        assert pool.take() == b

    def test_a_token_with_fewer_sessions_shrinks_the_pool(self):
        pool = make_pool(size=8, allowed=2)
        first, _ = pool.take(), pool.take()
        threading.Timer(0.05, pool.give, [first]).start()

        assert pool.take() == first
        assert pool.size == 2

    def test_a_token_without_any_session_says_so(self):
        with pytest.raises(CallFailed):
            make_pool(allowed=0).take()


class TestRetire:
    @pytest.mark.parametrize(
        ("rv", "closed"),
        [(0x40, False), (0x05, True), (0xB3, True), (0x60, True), (0x30, False)],
        ids=["data", "ambiguous", "session", "handle", "member away: no call into a dead module"],
    )
    def test_only_a_data_fault_leaves_the_session_in_use(self, rv, closed):
        pool = make_pool()
        session = pool.take()

        pool.retire(session, CallFailed(rv, "C_Decrypt"))

        assert (session in pool.closed) is closed
        assert pool.idle_count == (rv == 0x40)
        assert pool.open_count == (rv == 0x40)

    def test_a_session_that_owns_objects_is_kept_whatever_happened(self):
        pool = make_pool(keeps=True)
        session = pool.take()

        pool.retire(session, CallFailed(0x05, "C_UnwrapKey"))

        assert pool.take() == session

    def test_a_retired_session_makes_room_for_a_waiting_thread(self):
        pool = make_pool(size=1)
        session = pool.take()
        threading.Timer(0.05, pool.retire, [session, CallFailed(0xB3, "C_Decrypt")]).start()

        assert pool.take() != session


def make_pool(*, size=2, keeps=False, allowed=100):
    opened = []

    def open_session():
        if pool.open_count > allowed:
            raise CallFailed(0xB1, "C_OpenSession")
        opened.append(len(opened) + 1)
        return opened[-1]

    closed = []
    pool = SessionPool(
        size=size, wait_s=0.5, open_session=open_session, close_session=closed.append, keeps=keeps
    )
    pool.closed = closed
    return pool
