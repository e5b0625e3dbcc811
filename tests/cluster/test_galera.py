"""Claims and leases on a real Galera cluster, whose masters learn of each other's locks at COMMIT."""

import json
import subprocess
import sys
import time

import pytest

from tests.support.product import CHECKOUT, Product
from tests.support.product_rows import ProductRows
from tests.support.servers.galera import Galera

pytestmark = pytest.mark.processes

GROUPS, SIZE = 20, 3
TOGETHER_S = 0.01  # until both workers have been told of a group
MOST_ROUNDS = 30  # until both workers have met: most often in the first


class Worker:
    """A worker of its own process, which writes to one of the masters."""

    def __init__(self, product, database_url, log):
        self._log = log
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.galera_worker"],
                cwd=CHECKOUT,
                env=product.environment | {"KEEPSITE_DATABASE_URL": database_url},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )

    def tell(self, **wanted):
        self._process.stdin.write(f"{json.dumps(wanted)}\n")
        self._process.stdin.flush()

    def answer(self):
        line = self._process.stdout.readline()
        assert line, self._log.read_text()
        return json.loads(line)

    def lines(self, event):
        """What it logged of one event."""
        lines = [json.loads(line) for line in self._log.read_text().splitlines()]
        return [line for line in lines if line["event"] == event]

    def end(self):
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


@pytest.fixture(scope="module")
def cluster():
    with Galera() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def product(tmp_path_factory, cluster):
    """Only its database and token are used."""
    folder = tmp_path_factory.mktemp("galera") / "state"
    return Product(folder, database_url=cluster.urls[0]).setup()


@pytest.fixture(scope="module")
def workers(product, cluster):
    """One for each master, ready."""
    workers = [
        Worker(product, url, product.folder / f"worker-{number}.log")
        for number, url in enumerate(cluster.urls)
    ]
    assert [worker.answer() for worker in workers] == ["ready"] * len(workers)
    yield workers
    for worker in workers:
        worker.end()


def tell_all(workers, **wanted):
    for worker in workers:
        worker.tell(**wanted)
    return [worker.answer() for worker in workers]


class TestOrders:
    def test_each_is_fulfilled_once_though_both_masters_grant_it(self, product, cluster, workers):
        before = cluster.conflicts
        placed = []
        for _ in range(MOST_ROUNDS):
            (ids,) = tell_all(workers[:1], place=[GROUPS, SIZE])
            placed += ids
            for first in range(0, len(ids), SIZE):
                tell_all(workers, orders=ids[first : first + SIZE], at=time.monotonic() + TOGETHER_S)
            if cluster.conflicts > before:
                break

        assert cluster.conflicts > before
        for url in cluster.urls:
            rows = ProductRows(product, url)
            fulfilled = "status = 'ACTIVE' AND secret_id IN (SELECT secret_id FROM secrets_app_payload)"
            assert rows.count("orders_app_order", fulfilled) == len(placed)
            assert rows.count("secrets_app_secret") == rows.count("secrets_app_payload") == len(placed)
        assert not [line for worker in workers for line in worker.lines("order.failed_unexpectedly")]


class TestIdempotencyKeys:
    def test_each_makes_one_secret_though_both_masters_take_it(self, product, cluster, workers):
        before, asked = cluster.conflicts, []
        for number in range(MOST_ROUNDS):
            keys = [f"round-{number}-key-{key}" for key in range(GROUPS)]
            asked += keys
            at = time.monotonic() + TOGETHER_S
            first, second = tell_all(workers, store=keys, **{"as": product.key}, at=at)
            assert first == second
            assert len({*first} - {None}) == len(keys)
            if cluster.conflicts > before:
                break

        assert cluster.conflicts > before
        for url in cluster.urls:
            rows = ProductRows(product, url)
            assert rows.count("secrets_app_secret", "name LIKE 'round-%'") == len(asked)
            assert rows.count("idempotency_acceptedrequest") == len(asked)


class TestJobs:
    def test_a_job_is_run_by_one_worker_at_a_time(self, product, cluster, workers, tmp_path):
        ran = [0, 0]
        for _ in range(MOST_ROUNDS):
            more = tell_all(workers, job="galera.test", times=40, alone=str(tmp_path / "alone"))
            ran = [before + now for before, now in zip(ran, more, strict=True)]
            repeated = [
                line["code"] for worker in workers for line in worker.lines("database.write_repeated")
            ]
            if all(ran) and 1213 in repeated:
                break

        assert all(ran)
        assert 1213 in repeated  # both took it, and one was told otherwise at COMMIT
        assert not [line for worker in workers for line in worker.lines("schedule.job_failed")]
        for url in cluster.urls:
            rows = ProductRows(product, url)
            assert rows.count("schedule_scheduledjob", f"name = 'galera.test' AND runs = {sum(ran)}") == 1
