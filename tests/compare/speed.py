"""How fast both are on this machine: the same requests from the same load generator, in turn.

Each runs as it is commonly deployed: gunicorn with as many processes and threads, one MariaDB with
a database for each, one memcached for validated tokens, the same Keystone.  One Barbican keeps
secrets with its software plugin, one with its HSM plugin on a SoftHSM token like Keepsite's; they
do orders within the request, Keepsite's worker does them behind RabbitMQ.
"""

import http.client
import json
import tempfile
import time
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
from tests.support.product import Product, wait_until
from tests.support.servers.barbican import Barbican
from tests.support.servers.keystone import Keystone
from tests.support.servers.mariadb import MariaDB
from tests.support.servers.memcached import Memcached
from tests.support.servers.rabbitmq import RabbitMQ

PROCESSES, THREADS, CONNECTIONS = 2, 8, 8
WARM_S = 1
ORDERS_DONE_S = 300
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


@dataclass(frozen=True, slots=True)
class Speeds:
    """Requests answered per second by one server; orders counted when their key is there."""

    server: str
    per_second: dict[str, float]
    failures: int

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {"server": self.server, "per_second": self.per_second, "failures": self.failures}


def measured(*, keystone: Keystone, cast: Cast, memcached: Memcached, seconds: float) -> list[Speeds]:
    """Measure Barbican with each of its plugins and Keepsite, one request after the other at each in turn.

    All of them run all the time; whatever else the machine does meets them alike.
    """
    account = barbican_account(keystone, memcached=memcached.url)
    with ExitStack() as running:
        mariadb = running.enter_context(MariaDB())
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="keepsite-speed-")))

        def barbican(name: str, token: Token | None = None) -> str:
            database_url = _database(mariadb, name)
            server = Barbican(
                account, database_url=database_url, workers=PROCESSES, threads=THREADS, token=token
            )
            return running.enter_context(server).url

        urls = {
            "Barbican, simple_crypto": barbican("barbican"),
            "Barbican, p11_crypto": barbican("barbican_hsm", Token(folder / "token")),
            OURS: running.enter_context(_keepsite(keystone, memcached, mariadb, folder / "state")).url,
        }
        sides = [_Side(title, url, cast) for title, url in urls.items()]
        progress = running.enter_context(
            Progress("speed", len(sides) * (len(LOADS) + 1), what="measurements")
        )
        for name in LOADS:
            for side in sides:
                side.measure(name, seconds)
                progress.advance(1, f"{name}, {side.title}")
        for side in sides:
            side.measure_orders(seconds)
            progress.advance(1, f"key order, {side.title}")
        return [Speeds(side.title, side.per_second, side.failures) for side in sides]


def table(speeds: list[Speeds]) -> str:
    """Requests per second, and how many times as many Keepsite answers."""
    ours = next(speed for speed in speeds if speed.server == OURS)
    lines = [f"\nPer second, {CONNECTIONS} connections, {PROCESSES} processes of {THREADS} threads each:"]
    titles = [speed.server for speed in speeds]
    lines.append(f"{'':<14}" + "".join(f"{title:>34}" for title in titles))
    for name in ours.per_second:
        cells = [f"{speed.per_second[name]:.1f}{_ratio(speed, ours, name)}" for speed in speeds]
        lines.append(f"{name:<14}" + "".join(f"{cell:>34}" for cell in cells))
    lines += [f"{speed.failures} requests failed at {speed.server}" for speed in speeds if speed.failures]
    return "\n".join(lines)


def _ratio(speed: Speeds, ours: Speeds, name: str) -> str:
    return "" if speed is ours else f" (Keepsite: x {ours.per_second[name] / speed.per_second[name]:.1f})"


class _Side:
    """A server with ten secrets in a project of its own, and what was measured of it."""

    def __init__(self, title: str, url: str, cast: Cast) -> None:
        self.title = title
        self.per_second: dict[str, float] = {}
        self.failures = 0
        self._caller = _Caller(url, cast.token("owner", f"speed of {title}"))
        self._orderer = _Caller(url, cast.token("owner", f"orders of {title}"))
        refs = [self._caller.call("POST", "/v1/secrets", SECRET)["secret_ref"] for _ in range(10)]
        self._secret = urlsplit(refs[0]).path

    def measure(self, name: str, seconds: float) -> None:
        """Send one of LOADS for so long."""
        method, path, body, status = LOADS[name]
        path = path.format(secret=self._secret)
        result = self._caller.loaded(method, path, body, status, seconds=seconds)
        self.per_second[name] = result.per_second
        self.failures += result.failures

    def measure_orders(self, seconds: float) -> None:
        """Place orders for so long; the clock stops when the last key is there."""
        started = time.perf_counter()
        placed = self._orderer.loaded("POST", "/v1/orders", KEY, 202, seconds=seconds, warm_s=0)
        wanted = placed.requests - placed.failures
        wait_until(lambda: self._orderer.call("GET", "/v1/secrets?limit=1")["total"] >= wanted, ORDERS_DONE_S)
        self.per_second["key order"] = wanted / (time.perf_counter() - started)
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

    def loaded(
        self, method: str, path: str, body: object, status: int, *, seconds: float, warm_s: float = WARM_S
    ) -> load.Result:
        """The same request over several connections, for so long, once all is warm."""
        headers = self._headers | (JSON if body else {})
        raw = json.dumps(body).encode() if body else b""
        request = load.request_bytes(method, path, host=self._host, headers=headers, body=raw)
        host, _, port = self._host.partition(":")
        wanted = {"connections": CONNECTIONS, "expected": status}
        if warm_s:
            load.run((host, int(port)), request, seconds=warm_s, **wanted)
        return load.run((host, int(port)), request, seconds=seconds, **wanted)


@contextmanager
def _keepsite(keystone, memcached, mariadb, folder) -> Iterator[Product]:
    with RabbitMQ() as rabbitmq:
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
