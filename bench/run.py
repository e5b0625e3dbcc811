"""``make bench``: requests per second of the product as it runs, what each costs, and how lists grow.

The numbers of one run compare with one another, and with no other run: the health check,
which touches nothing, is the measure of requests, a project with 1,000 secrets that of lists.
Calls and statements are exact; they come from tests/call_counts.json, which the tests hold true.
"""

import argparse
import json
import tempfile
import urllib.request
from pathlib import Path

from bench import hsm_latency, lists, load
from tests.support.product import Product

ROOT = Path(__file__).resolve().parent.parent

STORE = json.dumps({"name": "bench", "payload": "x" * 32, "payload_content_type": "text/plain"}).encode()
JSON = {"Content-Type": "application/json"}
COUNTED_AS = {
    "health check": None,
    "GET metadata": "GET metadata",
    "GET payload": "GET payload",
    "POST secret": "POST secret with payload",
    "list of 10": "list of 10",
}


def main():
    options = arguments()
    if options.only in {None, "requests"}:
        report(requests(options), options)
    if options.only in {None, "lists"} and not options.json:
        lists.report(lists.measure(options.database_url))
    if options.only in {None, "hsm"} and not options.json:
        hsm_latency.show(hsm_latency.table(options.seconds))


def requests(options):
    with tempfile.TemporaryDirectory(prefix="keepsite-bench-") as folder:
        product = Product(
            Path(folder) / "state",
            database_url=options.database_url,
            KEEPSITE_WORKERS=str(options.workers),
            KEEPSITE_THREADS="8",
        ).setup()
        try:
            product.start("api")
            return measure(product, options)
        finally:
            product.stop()


def arguments():
    parser = argparse.ArgumentParser(description="Measure the product; every number is of this run.")
    parser.add_argument("--only", choices=["requests", "lists", "hsm"], help="one part of it; default: all")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement")
    parser.add_argument("--workers", type=int, default=2, help="gunicorn processes")
    parser.add_argument(
        "--database-url",
        help="an empty database; default: SQLite in a temporary folder, and for lists MariaDB too",
    )
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def measure(product, options):
    ref = first_secret(product)
    who = {"X-Auth-Token": product.key}
    wanted = [
        ("health check", "GET", "/healthcheck", {}, b"", 200),
        ("GET metadata", "GET", ref, who, b"", 200),
        ("GET payload", "GET", f"{ref}/payload", who, b"", 200),
        ("POST secret", "POST", "/v1/secrets", who | JSON, STORE, 201),
        ("list of 10", "GET", "/v1/secrets", who, b"", 200),
    ]
    host = f"127.0.0.1:{product.port}"
    return {
        name: one(
            product,
            options,
            load.request_bytes(method, path, host=host, headers=headers, body=body),
            expected,
        )
        for name, method, path, headers, body, expected in wanted
    }


def one(product, options, request, expected):
    address = ("127.0.0.1", product.port)
    load.run(address, request, connections=options.connections, seconds=1, expected=expected)  # warm
    return load.run(
        address, request, connections=options.connections, seconds=options.seconds, expected=expected
    )


def first_secret(product):
    request = urllib.request.Request(
        f"{product.url}/v1/secrets", data=STORE, headers=JSON | {"X-Auth-Token": product.key}
    )
    with urllib.request.urlopen(request) as response:
        return "/" + json.load(response)["secret_ref"].split("/", 3)[3]


def report(results, options):
    base = results["health check"].per_second
    if options.json:
        rates = {
            name: {"per_second": result.per_second, "failed": result.failures}
            for name, result in results.items()
        }
        print(json.dumps(rates))
        return
    print(
        f"{options.connections} connections, {options.workers} processes of 8 threads, {options.seconds:g} s"
    )
    vendor = "mysql" if (options.database_url or "").startswith("mysql") else "sqlite"
    counts = json.loads((ROOT / "tests" / "call_counts.json").read_text())
    print(
        f"\n{'request':<14}{'per second':>12}{'of health':>12}{'p50 ms':>9}{'p99 ms':>9}{'failed':>8}"
        f"{'SQL':>6}{'PKCS#11':>9}"
    )
    for name, result in results.items():
        counted = counts.get(COUNTED_AS[name], {"sql": {vendor: []}, "pkcs11": {}})
        print(
            f"{name:<14}{result.per_second:>12.0f}{result.per_second / base:>12.2f}"
            f"{result.percentile(50):>9.1f}{result.percentile(99):>9.1f}{result.failures:>8}"
            f"{len(counted['sql'][vendor]):>6}{sum(counted['pkcs11'].values()):>9}"
        )
    print("\nSQL statements (BEGIN and COMMIT among them) and PKCS#11 calls: tests/call_counts.json")


if __name__ == "__main__":
    main()
