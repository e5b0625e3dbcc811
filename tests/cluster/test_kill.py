"""kill -9: what was acknowledged is there, what was not is not there by half."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.remote import Remote
from tests.support.waiting import wait_until

pytestmark = pytest.mark.processes

SECRETS, PAYLOADS, PKEKS = "secrets_app_secret", "secrets_app_payload", "keyring_projectkek"


class TestKilledAPI:
    def test_between_the_token_and_the_commit_nothing_is_left(self, product, remote, rows):
        remote.store("makes the project's key")
        before = rows.count(SECRETS), rows.count(PAYLOADS)

        with ThreadPoolExecutor(1) as caller:
            with product.shim.holding("C_Encrypt"):
                answer = caller.submit(remote.store, "never acknowledged")
                wait_until(lambda: product.shim.held == 1)
                with rows.holding_writes_to(PAYLOADS):
                    product.shim.clear()
                    wait_until(lambda: product.shim.held == 0 and rows.somebody_waits())
                    product.kill("api")
            assert isinstance(answer.exception(), OSError)
        product.start("api")

        assert (rows.count(SECRETS), rows.count(PAYLOADS)) == before
        assert remote.store("afterwards")

    def test_while_the_projects_first_key_is_made_the_project_can_store_later(self, product, rows):
        newcomer = Remote(product, product.make_key(project="newcomer", user="u", roles=["member"]))
        pkeks = rows.count(PKEKS)

        with ThreadPoolExecutor(1) as caller:
            with product.shim.holding("C_WrapKey"):
                answer = caller.submit(newcomer.store, "never acknowledged")
                wait_until(lambda: product.shim.held == 1)
                product.kill("api")
            assert isinstance(answer.exception(), OSError)
        product.start("api")

        path = newcomer.store("afterwards")
        assert newcomer.get(f"{path}/payload").content == b"afterwards"
        assert rows.count(PKEKS) == pkeks + 1

    def test_at_once_after_201_the_secret_is_there(self, product, remote):
        path = remote.store("acknowledged")
        product.kill("api")
        product.start("api")

        assert remote.get(f"{path}/payload").content == b"acknowledged"

    def test_under_load_every_acknowledged_secret_reads_back_and_repeats_make_the_rest_once(
        self, product, remote, rows
    ):
        before = rows.count(SECRETS)
        acknowledged, unanswered, killed = {}, [], threading.Event()

        def store_on(thread):
            number = 0
            while not killed.is_set():
                number += 1
                text = f"thread {thread} secret {number}"
                try:
                    acknowledged[remote.store(text, key=text)] = text
                except OSError:
                    unanswered.append(text)
                    return

        with ThreadPoolExecutor(4) as threads:
            stores = [threads.submit(store_on, thread) for thread in range(4)]
            wait_until(lambda: len(acknowledged) >= 40)
            product.kill("api")
            killed.set()
            for store in stores:
                store.result()
        product.start("api")

        assert len(acknowledged) >= 40
        for path, text in acknowledged.items():
            assert remote.get(f"{path}/payload").content == text.encode()
        for _ in range(2):
            for text in unanswered:
                path = remote.store(text, key=text)
                assert acknowledged.setdefault(path, text) == text
        assert rows.count(SECRETS) == before + len(acknowledged) == before + len({*acknowledged.values()})


class TestKilledWorker:
    def assert_is_done_with_one_key(self, remote, rows, order, secrets_before):
        wait_until(lambda: remote.get(order).json()["status"] == "ACTIVE", 40)
        path = remote.get(order).json()["secret_ref"].removeprefix(remote.product.url)

        assert len(remote.get(f"{path}/payload").content) == 32
        assert rows.count(SECRETS) == secrets_before + 1
        assert rows.count(PAYLOADS) == rows.count(SECRETS)

    def test_inside_the_token_another_finishes_the_order(self, product, remote, rows):
        before = rows.count(SECRETS)
        with product.shim.holding("C_GenerateRandom"):
            order = remote.order_key()
            wait_until(lambda: product.shim.held == 1)
            product.kill("worker")
        product.start("worker")

        self.assert_is_done_with_one_key(remote, rows, order, before)

    def test_inside_the_commit_another_finishes_the_order(self, product, remote, rows):
        before = rows.count(SECRETS)
        with product.shim.holding("C_Encrypt"):
            order = remote.order_key()
            wait_until(lambda: product.shim.held == 1)
            with rows.holding_writes_to(PAYLOADS):
                product.shim.clear()
                wait_until(lambda: product.shim.held == 0 and rows.somebody_waits())
                product.kill("worker")
        product.start("worker")

        self.assert_is_done_with_one_key(remote, rows, order, before)

    def test_without_any_orders_are_taken_and_wait(self, product, remote):
        product.kill("worker")
        order = remote.order_key()
        assert remote.get(order).json()["status"] == "PENDING"
        product.start("worker")

        wait_until(lambda: remote.get(order).json()["status"] == "ACTIVE", 40)


class TestKilledRelay:
    def test_orders_placed_without_one_are_done_after_a_restart(self, product, remote):
        product.kill("relay")
        order = remote.order_key()
        product.start("relay")

        wait_until(lambda: remote.get(order).json()["status"] == "ACTIVE", 40)

    def test_killed_at_work_every_order_is_done_once(self, product, remote, rows):
        before = rows.count(SECRETS)
        orders = [remote.order_key() for _ in range(10)]
        product.kill("relay")
        orders += [remote.order_key() for _ in range(10)]
        product.start("relay")

        for order in orders:
            wait_until(lambda order=order: remote.get(order).json()["status"] == "ACTIVE", 40)
        assert rows.count(SECRETS) == before + 20


class TestEverythingKilled:
    def test_after_a_power_cut_all_of_it_comes_back(self, product, remote):
        path = remote.store("before the cut")
        order = remote.order_key()
        for name in list(product.processes):
            product.kill(name)
        product.start()

        assert remote.get(f"{path}/payload").content == b"before the cut"
        wait_until(lambda: remote.get(order).json()["status"] == "ACTIVE", 40)
