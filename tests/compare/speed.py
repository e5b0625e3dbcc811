"""How fast both are on this machine: the same requests from the same load generator, in turn.

Each runs as it is commonly deployed: gunicorn with as many processes and threads, one MariaDB with
a database for each, one memcached for validated tokens, the same Keystone.  One Barbican keeps
secrets with its software plugin, one with its HSM plugin on a SoftHSM token like Keepsite's.

Orders are measured from the first request until the last key is there.  Keepsite's one worker
does them behind RabbitMQ; Barbican does them within the request, as it is installed by default,
and once more, set up so, by one worker behind the same RabbitMQ.
"""

import http.client
import itertools
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import MySQLdb

from bench import load
from tests.compare.cast import Cast, barbican_account, keepsite_account
from tests.compare.report import Progress
from tests.support.pkcs11_standins import Token
from tests.support.product import Product
from tests.support.servers.barbican import Barbican
from tests.support.servers.keystone import Keystone
from tests.support.servers.mariadb import MariaDB
from tests.support.servers.memcached import Memcached
from tests.support.servers.rabbitmq import RabbitMQ
from tests.support.waiting import wait_until

PROCESSES, THREADS, CONNECTIONS = 2, 8, 8
ROUNDS = 3  # each server in turn, so that what else the machine does meets all alike
WARM_S = 1
ORDERS_DONE_S = 300
LOOK_EVERY_S = 0.25  # whether all orders are done: a question is work too
JSON = {"Content-Type": "application/json"}
SECRET = {"name": "speed", "payload": "x" * 32, "payload_content_type": "text/plain"}
KEY = {"type": "key", "meta": {"algorithm": "aes", "bit_length": 256}}
LOADS = {
    "GET metadata": ("GET", "{secret}", None, 200),
    "GET payload": ("GET", "{secret}/payload", None, 200),
    "list of 10": ("GET", "/v1/secrets", None, 200),
    "POST secret": ("POST", "/v1/secrets", SECRET, 201),
}
OURS = "Keepsite, SoftHSM"
IN_REQUEST, ONE_WORKER = "key order", "key order, one worker"  # where Barbican does its orders


@dataclass(frozen=True, slots=True)
class Speeds:
    """Requests answered per second by one server; orders counted when their key is there."""

    server: str
    per_second: dict[str, float]
    failures: int

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {"server": self.server, "per_second": self.per_second, "failures": self.failures}


def measured(
    *, keystone: Keystone, cast: Cast, memcached: Memcached, seconds: float, only: str = ""
) -> list[Speeds]:
    """Measure Barbican with each of its plugins and Keepsite, one request after the other at each in turn.

    All of them run all the time; whatever else the machine does meets them alike.  ``only`` is
    part of the names of the requests to measure.
    """
    names = [name for name in (*LOADS, IN_REQUEST, ONE_WORKER) if only in name]
    account = barbican_account(keystone, memcached=memcached.url)
    with ExitStack() as running:
        mariadb = running.enter_context(MariaDB())
        rabbitmq = running.enter_context(RabbitMQ())
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="keepsite-speed-")))

        def barbican(name: str, *, has_token: bool, broker_url: str = "") -> str:
            token = Token(folder / name) if has_token else None
            server = Barbican(
                account,
                database_url=_database(mariadb, name),
                workers=PROCESSES,
                threads=THREADS,
                token=token,
                broker_url=broker_url,
            )
            return running.enter_context(server).url

        sides = [
            _Side(
                f"Barbican, {plugin}",
                barbican(plugin, has_token=has_token),
                barbican(f"{plugin}_queued", has_token=has_token, broker_url=rabbitmq.url),
                cast,
            )
            for plugin, has_token in (("simple_crypto", False), ("p11_crypto", True))
        ]
        keepsite = _keepsite(keystone, memcached, mariadb, rabbitmq, folder / "state")
        url = running.enter_context(keepsite).url
        sides.append(_Side(OURS, url, url, cast))
        progress = running.enter_context(
            Progress("speed", ROUNDS * len(sides) * len(names), what="measurements")
        )
        for name, _, side in itertools.product(names, range(ROUNDS), sides):
            side.measure(name, seconds / ROUNDS)
            progress.advance(1, f"{name}, {side.title}")
        return [Speeds(side.title, side.per_second, side.failures) for side in sides]


def table(speeds: list[Speeds]) -> str:
    """Requests per second, and how many times as many Keepsite answers."""
    ours = next(speed for speed in speeds if speed.server == OURS)
    load_average = f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"
    setup = f"{CONNECTIONS} connections, {PROCESSES} processes of {THREADS} threads each"
    lines = [f"\nPer second, {setup}; {load_average}:"]
    titles = [speed.server for speed in speeds]
    lines.append(" " * 24 + "".join(f"{title:>34}" for title in titles))
    for name in ours.per_second:
        cells = [f"{speed.per_second[name]:.1f}{_ratio(speed, ours, name)}" for speed in speeds]
        lines.append(f"{name:<24}" + "".join(f"{cell:>34}" for cell in cells))
    lines += [f"{speed.failures} requests failed at {speed.server}" for speed in speeds if speed.failures]
    return "\n".join(lines)


def _ratio(speed: Speeds, ours: Speeds, name: str) -> str:
    return "" if speed is ours else f" (Keepsite: x {ours.per_second[name] / speed.per_second[name]:.1f})"


class _Side:
    """A server with ten secrets in a project of its own, and what was measured of it.

    ``queued_url`` is where a worker does its orders.
    """

    def __init__(self, title: str, url: str, queued_url: str, cast: Cast) -> None:
        self.title = title
        self.failures = 0
        self._done: Counter[str] = Counter()
        self._seconds: Counter[str] = Counter()
        self._caller = _Caller(url, cast.token("owner", f"speed of {title}"))
        orderer = cast.token("owner", f"orders of {title}")
        self._orderers = {
            IN_REQUEST: _Caller(url, orderer),
            ONE_WORKER: _Caller(queued_url, orderer),
        }
        refs = [self._caller.call("POST", "/v1/secrets", SECRET)["secret_ref"] for _ in range(10)]
        self._secret = urlsplit(refs[0]).path

    @property
    def per_second(self) -> dict[str, float]:
        """Over all rounds."""
        return {name: done / self._seconds[name] for name, done in self._done.items()}

    def measure(self, name: str, seconds: float) -> None:
        """One round: send one of LOADS, or orders, for so long."""
        if name in self._orderers:
            self._measure_orders(name, seconds)
            return
        method, path, body, status = LOADS[name]
        path = path.format(secret=self._secret)
        warm_s = 0 if name in self._done else WARM_S
        result = self._caller.loaded(method, path, body, status, seconds=seconds, warm_s=warm_s)
        self._done[name] += result.requests
        self._seconds[name] += result.seconds
        self.failures += result.failures

    def _measure_orders(self, name: str, seconds: float) -> None:
        """Place orders for so long; the clock stops when the last key is there."""
        orderer = self._orderers[name]
        before = orderer.keys()
        orderer.call("POST", "/v1/orders", KEY)  # the project's first brings a key of its own
        wait_until(lambda: orderer.keys() > before, ORDERS_DONE_S)
        started = time.perf_counter()
        placed = orderer.loaded("POST", "/v1/orders", KEY, 202, seconds=seconds, warm_s=0)
        wanted = placed.requests - placed.failures
        while orderer.keys() < before + 1 + wanted:
            assert time.perf_counter() < started + ORDERS_DONE_S, f"orders of {self.title} are not done"
            time.sleep(LOOK_EVERY_S)
        self._done[name] += wanted
        self._seconds[name] += time.perf_counter() - started
        self.failures += placed.failures


class _Caller:
    """Sends with one token to one address."""

    def __init__(self, url: str, token: str) -> None:
        self._host = urlsplit(url).netloc
        self._headers = {"X-Auth-Token": token}

    def call(self, method: str, path: str, body: object = None) -> dict[str, object]:
        """One request, its JSON."""
        connection = http.client.HTTPConnection(self._host, timeout=60)
        connection.request(method, path, json.dumps(body) if body else None, self._headers | JSON)
        with connection.getresponse() as response:
            return json.load(response)

    def keys(self) -> int:
        """How many secrets the project has."""
        return self.call("GET", "/v1/secrets?limit=1")["total"]

    def loaded(
        self, method: str, path: str, body: object, status: int, *, seconds: float, warm_s: float
    ) -> load.Result:
        """The same request over several connections, for so long, after as much as warms it."""
        headers = self._headers | (JSON if body else {})
        raw = json.dumps(body).encode() if body else b""
        request = load.request_bytes(method, path, host=self._host, headers=headers, body=raw)
        host, _, port = self._host.partition(":")
        wanted = {"connections": CONNECTIONS, "expected": status}
        if warm_s:
            load.run((host, int(port)), request, seconds=warm_s, **wanted)
        return load.run((host, int(port)), request, seconds=seconds, **wanted)


@contextmanager
def _keepsite(keystone, memcached, mariadb, rabbitmq, folder) -> Iterator[Product]:
    product = Product(
        folder,
        database_url=mariadb.url,
        broker_url=rabbitmq.url,
        KEEPSITE_WORKERS=str(PROCESSES),
        KEEPSITE_THREADS=str(THREADS),
        **keepsite_account(keystone, memcached=memcached.url),
    ).setup()
    try:
        yield product.start()
    finally:
        product.stop()


def _database(mariadb: MariaDB, name: str) -> str:
    """The address of a new database on the same server."""
    parts = urlsplit(mariadb.url)
    connection = MySQLdb.connect(
        host=parts.hostname, port=parts.port, user=parts.username, password=parts.password
    )
    connection.cursor().execute(f"CREATE DATABASE {name}")
    connection.close()
    return parts._replace(path=f"/{name}").geturl()
