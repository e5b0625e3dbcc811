"""Orders: how long a client waits for a key, how many are made a second, how 10,000 that wait are worked off.

Part of ``make bench``; every number is of this run on this machine, whose load it prints.
"""

import argparse
import contextlib
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from castellan.key_manager.barbican_key_manager import BarbicanKeyManager
from keystoneauth1 import token_endpoint
from oslo_config import cfg
from oslo_context.context import RequestContext

from tests.support.product import Product
from tests.support.product_rows import ProductRows
from tests.support.servers.mariadb import MariaDB
from tests.support.servers.rabbitmq import RabbitMQ
from tests.support.waiting import wait_until

PARTS = ("create-key", "rate", "queued")
CALLS = 100
RATE_ORDERS = 400
LOOK_EVERY_S = 0.2
GOAL_S = 0.5
ORDERS, WAITING = "orders_app_order", "status = 'PENDING'"
PLACE = """
from keepsite.projects.services import ensure_project
from orders_app.models import Order
meta = {{"name": None, "algorithm": "aes", "bit_length": 256, "expiration": None}}
project = ensure_project("p1")
orders = [Order(project=project, type="key", meta=meta, creator_id="u1") for _ in range({count})]
Order.objects.bulk_create(orders, batch_size=500)
"""


@dataclass(frozen=True)
class Setting:
    title: str
    database_url: str | None = None
    broker_url: str | None = None
    broker_pid: int | None = None


def main():
    options = arguments()
    print(f"load average at the start: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    with MariaDB() as mariadb, RabbitMQ() as rabbitmq:
        settings = {
            "embedded": Setting("SQLite and a folder"),
            "servers": Setting("MariaDB and RabbitMQ", mariadb.url, rabbitmq.url, rabbitmq.pid),
        }
        for name in options.on:
            print(f"\n{settings[name].title}", flush=True)
            measure(settings[name], options)


def arguments():
    parser = argparse.ArgumentParser(description="Measure orders; every number is of this run.")
    parser.add_argument("--calls", type=int, default=CALLS, help="of castellan's create_key")
    parser.add_argument("--orders", type=int, default=RATE_ORDERS, help="for orders per second")
    parser.add_argument("--queued", type=int, default=10_000, help="that wait for workers at once")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--on", nargs="*", choices=["embedded", "servers"], default=["embedded", "servers"])
    return parser.parse_args()


def measure(setting, options):
    with tempfile.TemporaryDirectory(prefix="keepsite-bench-") as folder:
        product = Product(
            Path(folder) / "state", database_url=setting.database_url, broker_url=setting.broker_url
        ).setup()
        rows = ProductRows(product)
        try:
            product.start("api", "relay", "worker")
            if "create-key" in options.only:
                create_key(product, options.calls)
            counts = {"rate": options.orders, "queued": options.queued}
            for count in (counts[part] for part in PARTS if part in options.only and part in counts):
                for workers in (["worker"], ["worker", "worker-2"]):
                    drain(product, rows, count, workers, broker_pid=setting.broker_pid)
        finally:
            product.stop()


def create_key(product, calls):
    """castellan's create_key as Nova and Cinder call it: it orders, asks, sleeps, deletes the order."""
    manager, context = castellan_manager(product)
    manager.create_key(context, "aes", 256)
    seconds = []
    for _ in range(calls):
        began = time.perf_counter()
        manager.create_key(context, "aes", 256)
        seconds.append(time.perf_counter() - began)
    seconds.sort()
    below = sum(one < GOAL_S for one in seconds)
    shown = ", ".join(
        f"p{percent} {seconds[min(calls - 1, calls * percent // 100)]:.3f}" for percent in (50, 90, 99)
    )
    print(
        f"  create_key, {calls} calls: {shown}, max {seconds[-1]:.3f} s; {below} below {GOAL_S} s", flush=True
    )
    print("    (castellan itself sleeps 0.25 s in each, and one second more if the order was not ready)")


def castellan_manager(product):
    conf = cfg.ConfigOpts()
    conf([], project="bench", default_config_files=[], default_config_dirs=[])
    manager = BarbicanKeyManager(conf)
    conf.set_override("barbican_endpoint", product.url, "barbican")
    return manager, Context(product.url, product.key)


class Context(RequestContext):
    """A request's context as nova makes it: it brings its own way to authenticate."""

    def __init__(self, url, key):
        super().__init__(overwrite=False)
        self._auth = token_endpoint.Token(url, key)

    def get_auth_plugin(self):
        return self._auth


def drain(product, rows, count, workers, *, broker_pid):
    """Have ``workers`` work off ``count`` orders that wait for them."""
    for name in [name for name in product.processes if name.startswith("worker")]:
        product.processes[name].terminate()
        product.processes.pop(name).wait()
    began = time.perf_counter()
    product.manage("shell", "--no-imports", "-c", PLACE.format(count=count))
    inserted = time.perf_counter() - began
    memory = Memory({name: product.processes[name].pid for name in ("api", "relay")}, broker_pid)
    product.start(*workers)
    wait_until(lambda: all(is_ready(product, name) for name in workers), 60)
    memory.watch({name: product.processes[name].pid for name in workers})
    began, start = time.perf_counter(), rows.count(ORDERS, WAITING)
    while rows.count(ORDERS, WAITING):
        time.sleep(LOOK_EVERY_S)
        memory.look()
    seconds = time.perf_counter() - began
    print(
        f"  {count} orders that wait, {len(workers)} worker(s): {start / seconds:.0f} a second "
        f"({start} in {seconds:.1f} s, after {inserted:.1f} s of placing)\n    {memory}",
        flush=True,
    )


class Memory:
    """What processes hold with all that they forked, in MiB resident: at first, at most and at last."""

    def __init__(self, pids, broker_pid):
        self._pids = {}
        self._seen = {}
        self.watch(pids | ({"broker": broker_pid} if broker_pid else {}))

    def watch(self, pids):
        self._pids |= pids
        self.look()

    def look(self):
        for name, pid in self._pids.items():
            self._seen.setdefault(name, []).append(resident_mib(pid))

    def __str__(self):
        return "; ".join(
            f"{name} {seen[0]:.0f}, peak {max(seen):.0f}, {seen[-1]:.0f} MiB"
            for name, seen in self._seen.items()
        )


def is_ready(product, name):
    """A worker's child is there: it forks after it has read its settings."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(product.processes[name].pid).children())
    return False


def resident_mib(pid):
    """Of a process and its children; what they share counts for each."""
    total = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
    return total / 2**20


if __name__ == "__main__":
    main()
