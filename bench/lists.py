"""How lists take it when a project grows from 1,000 secrets to 100,000.

Each size is a project of its own beside the others, in one database; the answer's time
with 1,000 is the measure.  A process counts a long list once in five minutes and else what
changed since (docs/decisions/0008): ``first`` is the answer that counts everything.
"""

import http.client
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

from tests.support.product import CHECKOUT, Product
from tests.support.servers.mariadb import MariaDB

SIZES = (1_000, 10_000, 100_000)
REPEATS = 9
FIRST = 4  # answers in which each of two processes may still count everything
LATELY = (date.today() - timedelta(days=30)).isoformat()  # noqa: DTZ011  # rows are of the year before
NEIGHBOURS = 17  # further projects of the first size: with the three, twenty
STORE = json.dumps({"payload": "x" * 32, "payload_content_type": "text/plain"})
QUERIES = {
    "first page": "",
    "first page of 100": "limit=100",
    "name=one": "name=volume-000501",
    "name=prefix%": "name=tls-00%25",
    "name=%part%": "name=%2599%25",
    "secret_type=": "secret_type=symmetric",
    "alg= and bits=": "alg=aes&bits=256",
    "created=gt:": "created=gt:{lately}",
    "sort=created:desc": "sort=created:desc",
    "sort=name": "sort=name",
    "sort=expiration": "sort=expiration",
    "sort=algorithm": "sort=algorithm",
    "offset in the middle": "offset={middle}",
    "last page": "offset={last}",
}


def measure(database_url):
    """Engine by engine, milliseconds by query and size: the first answer's, the median of the next."""
    if database_url:
        yield database_url.partition(":")[0], one_engine(database_url)
        return
    yield "SQLite", one_engine(None)
    if shutil.which("mariadbd", path="/usr/sbin:/usr/bin"):
        with MariaDB() as server:
            yield "MariaDB", one_engine(server.url)
    else:
        print("\nNot measured on MariaDB: mariadbd is not installed (Debian: mariadb-server-core).")


def one_engine(database_url):
    with tempfile.TemporaryDirectory(prefix="keepsite-bench-") as folder:
        product = Product(Path(folder) / "state", database_url=database_url).setup()
        try:
            product.start("api")
            keys = {size: key_of(product, size) for size in SIZES}
            for size in SIZES:
                fill(product, size, f"bench-{size}")
            fill(product, SIZES[0], *(f"neighbour-{number}" for number in range(NEIGHBOURS)))
            return {name: timed(product, keys, query) for name, query in QUERIES.items()}
        finally:
            product.stop()


def key_of(product, size):
    """An API key of a new project, which has one secret."""
    key = product.make_key(project=f"bench-{size}", user="bench", roles=["member"])
    status, _ = ask(product, key, "POST", "/v1/secrets", STORE)
    assert status == 201
    return key


def fill(product, count, *projects):
    subprocess.run(
        [sys.executable, "-m", "bench.rows", str(count), *projects],
        cwd=CHECKOUT,
        env=product.environment,
        check=True,
    )


def timed(product, keys, query):
    """By size; the sizes take turns, so that whatever else the machine does slows all of them."""
    times = {size: [] for size in SIZES}
    totals = {}
    for _ in range(REPEATS + FIRST):
        for size in SIZES:
            path = "/v1/secrets?" + query.format(lately=LATELY, middle=size // 2, last=size - size // 10)
            before = time.perf_counter()
            status, body = ask(product, keys[size], "GET", path)
            times[size].append((time.perf_counter() - before) * 1000)
            assert status == 200, body
            totals[size] = body["total"]
    return {
        size: {
            "first": max(taken[:FIRST]),
            "median": statistics.median(taken[FIRST:]),
            "total": totals[size],
        }
        for size, taken in times.items()
    }


def ask(product, key, method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", product.port, timeout=60)
    try:
        connection.request(method, path, body, {"X-Auth-Token": key, "Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.load(answer)
    finally:
        connection.close()


def report(measured):
    for engine, queries in measured:
        print(f"\nLists on {engine}: milliseconds of one answer of the whole product, no other at the time")
        sizes = "".join(f"{size:>10,}" for size in SIZES)
        print(f"{'secrets':<22}{sizes}{'ratio':>8}{'first':>9}{'total':>9}")
        for name, by_size in queries.items():
            medians = [by_size[size]["median"] for size in SIZES]
            largest = by_size[SIZES[-1]]
            print(
                f"{name:<22}{''.join(f'{median:>10.1f}' for median in medians)}"
                f"{medians[-1] / medians[0]:>8.1f}{largest['first']:>9.1f}{largest['total']:>9,}",
                flush=True,
            )
    print("\nratio: with 100,000 secrets to with 1,000; first: the answer that counts all of 100,000")
