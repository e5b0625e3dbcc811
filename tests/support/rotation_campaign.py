"""``make chaos-rotation``: every key replaced under traffic, while what replaces them is killed.

A real server, worker and relay on a database and token of their own.  Readers compare each
payload with what was stored; a request that fails, or a payload that differs, fails the campaign.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.support.product import CHECKOUT, Product
from tests.support.product_rows import ProductRows
from tests.support.servers.mariadb import MariaDB
from tests.support.traffic import Traffic
from tests.support.waiting import wait_until

GRACE_S = 3
ENOUGH_ROWS = 2_000  # so many take long enough to be killed in between
PKEKS, PAYLOADS, RUNS = "keyring_projectkek", "secrets_app_payload", "keyring_kekrun"
OLD = "pkek_id IN (SELECT id FROM keyring_projectkek WHERE active_marker IS NULL)"


@dataclass
class Report:
    """What a campaign came to."""

    database: str
    secrets: int
    projects: int
    kills: list[str] = field(default_factory=list)
    rows_per_second: dict[str, float] = field(default_factory=dict)
    reads: int = 0
    writes: int = 0
    failures: list[str] = field(default_factory=list)
    wrong: int = 0
    checked: int = 0
    slowest_request_s: float = 0.0
    seconds: float = 0.0
    left: int = 0

    @property
    def is_good(self):
        return not (self.failures or self.wrong or self.left) and len(self.kills) >= 3


class Campaign:
    """One product, its traffic, and what is done to it."""

    def __init__(self, product, *, secrets, projects, bar, database, pause_s):
        self.product, self.rows = product, ProductRows(product)
        self.secrets = secrets
        names = [f"project-{number}" for number in range(projects)]
        self.traffic = Traffic(product.port, names, pause_s=pause_s)
        self.bar = bar
        self.report = Report(database=database, secrets=secrets, projects=projects)

    def run(self):
        began = time.monotonic()
        with self._step("storing secrets", self.secrets) as told:
            self.traffic.seed(self.secrets, told=told)
        self.traffic.start()
        try:
            self._replace_mkek()
            self._replace_pkeks()
        finally:
            self.traffic.stop()
        self._retire()
        with self._step("reading all back", len(self.traffic.stored)) as told:
            self.report.wrong = len(self.traffic.verify(told=told))
        self.report.checked = len(self.traffic.stored)
        self.report.reads, self.report.writes = self.traffic.reads, self.traffic.writes
        self.report.failures = self.traffic.failures
        self.report.slowest_request_s = round(self.traffic.slowest_s, 3)
        self.report.seconds = round(time.monotonic() - began, 1)
        return self.report

    def _replace_mkek(self):
        self.product.manage("mkek_generate", "--label", "product-mkek-2")
        self.product.manage("mkek_activate", "product-mkek-2", "--yes")
        total = self.rows.count(PKEKS)
        behind = "mkek_id <> (SELECT id FROM keyring_mkek WHERE current_marker = 1)"
        with self._step("rewrapping pKEKs", total) as told:
            self._killed_command(
                *("mkek_rewrap", "--rate", self._slowly(total)),
                when=lambda: self.rows.count(PKEKS, behind) < total * 2 / 3,
            )
            told(total - self.rows.count(PKEKS, behind))
            self._to_its_end("mkek_rewrap", "--batch", "20")
        assert self.rows.count(PKEKS, behind) == 0

    def _replace_pkeks(self):
        projects = self.rows.count(PKEKS, "active_marker = 1")
        with self._step("rotating pKEKs", projects):
            self._killed_command(
                *("pkek_rotate", "--all", "--yes", "--rate", self._slowly(projects)),
                when=lambda: self.rows.count(PKEKS, "generation = 2") > projects / 3,
            )  # fmt: skip
            self._to_its_end("pkek_rotate", "--all", "--yes")
        assert self.rows.count(PKEKS, "generation > 2") == 0
        total = self.rows.count(PAYLOADS, OLD)
        with self._step("sealing payloads anew", total) as told:
            paced = () if total > ENOUGH_ROWS else ("--rate", self._slowly(total))
            self._killed_command("pkek_reencrypt", *paced, when=lambda: self._moved(told, total) > total / 4)
            slowly = paced and ("--rate", self._slowly(total, seconds=20))
            self._killed_worker(lambda: self._moved(told, total), total, slowly)
            wait_until(lambda: self._moved(told, total) >= total and self._run_has_ended(), 600)
        self._note_rate("pkek_reencrypt by workers", self._last_run())
        self._to_its_end("pkek_reencrypt")  # what writers stored under a former key at its very end

    def _killed_worker(self, moved, total, paced):
        self.product.manage("pkek_reencrypt", "--workers", *paced)
        wait_until(lambda: moved() > total / 2, 300)
        self.product.kill("worker")
        assert self.rows.count(PAYLOADS, OLD) > 0, "the worker was done before it was killed"
        self.report.kills.append("worker at pkek_reencrypt")
        self.product.start("worker")

    def _retire(self):
        time.sleep(GRACE_S)
        self._to_its_end("pkek_reencrypt")
        self.report.left = self.rows.count(PAYLOADS, OLD) + self.rows.count(PKEKS, "state = 'decrypt_only'")
        self.product.manage("mkek_retire", "product-mkek-1", "--yes")
        self.product.manage("kek_status")

    def _killed_command(self, *arguments, when):
        command = self._command(*arguments)
        wait_until(lambda: when() or command.poll() is not None, 300)
        assert command.poll() is None, f"{arguments} ended before it was killed"
        os.killpg(command.pid, signal.SIGKILL)
        command.wait()
        self.report.kills.append(arguments[0])

    def _slowly(self, rows, *, seconds=6):
        """A pace that leaves time to kill what keeps it."""
        return str(max(rows / seconds, 1))

    def _to_its_end(self, *arguments):
        """Run a command until nothing is left; one that stands behind a killed one waits for its end."""
        told = json.loads(self.product.manage(*arguments, "--json"))
        if told["done"]:
            self._note_rate(arguments[0], told)

    def _note_rate(self, name, told):
        self.report.rows_per_second.setdefault(name, told["per_second"])

    def _last_run(self):
        return json.loads(self.product.manage("kek_run", "list", "--json"))[0]

    def _run_has_ended(self):
        return self.rows.count(RUNS, "by_workers = 1 AND state IN ('queued', 'running')") == 0

    def _moved(self, told, total):
        moved = total - self.rows.count(PAYLOADS, OLD)
        told.to(moved)
        return moved

    def _command(self, *arguments):
        with (self.product.folder / "commands.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "manage.py", *arguments],
                cwd=CHECKOUT, env=self.product.environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    @contextlib.contextmanager
    def _step(self, title, total):
        task = self.bar.add_task(title, total=total)

        def told(number):
            self.bar.advance(task, number)

        told.to = lambda number: self.bar.update(task, completed=number)
        yield told
        self.bar.update(task, completed=total)


def campaign(folder, *, secrets, projects, database_url=None, bar=None, database="SQLite", pause_s=0.0):
    """Run one; its report.  Clients rest for ``pause_s`` after each request."""
    product = Product(
        folder,
        database_url=database_url,
        KEEPSITE_AUTH="noauth",
        KEEPSITE_KEK_GRACE_S=str(GRACE_S),
        KEEPSITE_LOG_LEVEL="WARNING",
        KEEPSITE_RELAY_POLL_S="0.5",
    )
    with bar or Progress(disable=True) as shown:
        try:
            product.setup().start()
            return Campaign(
                product, secrets=secrets, projects=projects, bar=shown, database=database, pause_s=pause_s
            ).run()
        finally:
            product.stop()


def main():
    options = arguments()
    bar = Progress(
        TextColumn("{task.description:24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=Console(stderr=True), disable=not sys.stderr.isatty(),
    )  # fmt: skip
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="keepsite-chaos-")))
        server = stack.enter_context(MariaDB()) if options.database == "mariadb" else None
        report = campaign(
            folder / "state",
            secrets=options.secrets,
            projects=options.projects,
            database_url=server.url if server else None,
            database="MariaDB" if server else "SQLite",
            bar=bar,
        )
    show(report, as_json=options.json)
    return 0 if report.is_good else 1


def arguments():
    parser = argparse.ArgumentParser(
        description="Replace every key under traffic and kill what replaces them."
    )
    parser.add_argument("--secrets", type=int, default=10_000)
    parser.add_argument("--projects", type=int, default=200)
    parser.add_argument("--database", choices=["mariadb", "sqlite"], default="mariadb")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def show(report, *, as_json):
    if as_json:
        print(json.dumps(asdict(report)))
        return
    facts = [
        ("database", report.database),
        ("secrets, projects", f"{report.secrets}, {report.projects}"),
        ("kill -9 of", ", ".join(report.kills)),
        *((f"{name}, rows per second", f"{rate:.0f}") for name, rate in report.rows_per_second.items()),
        ("reads, writes meanwhile", f"{report.reads}, {report.writes}"),
        ("failed requests", len(report.failures)),
        ("slowest request", f"{report.slowest_request_s} s"),
        ("read back and compared", report.checked),
        ("different", report.wrong),
        ("left to do", report.left),
        ("took", f"{report.seconds} s"),
    ]
    for name, value in facts:
        print(f"{name:36} {value}")
    for failure in report.failures[:10]:
        print(f"  {failure}")
    print("good" if report.is_good else "NOT GOOD")


if __name__ == "__main__":
    sys.exit(main())
