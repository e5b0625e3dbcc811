"""``make fuzz``: many bad requests to a server that runs, over real sockets, on SQLite or MariaDB.

Goes through all routes in turn until enough requests were made.  The exit code is 1 if
one was answered wrongly; the smallest such request of each route is printed.
"""

import argparse
import contextlib
import os
import signal
import sqlite3
import sys
import tempfile
from urllib.parse import unquote, urlsplit

import django
import MySQLdb
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from tests.fuzz.calls import OverSocket
from tests.fuzz.checking import Checking
from tests.fuzz.routes import ROUTES
from tests.fuzz.rows import Rows, tables
from tests.fuzz.world import World
from tests.support.product import Product
from tests.support.servers.mariadb import MariaDB

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

ROUND = 60  # requests of one route before the next has its turn
KEPT = {"projects_project", "keyring_mkek", "keyring_projectkek"}
LINE_EVERY = 1000  # requests, where there is no terminal to draw a bar in


def main():
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=20_000, help="how many, at least (20000)")
    parser.add_argument("--database", choices=["sqlite", "mariadb"], default="sqlite")
    parser.add_argument("--seed", type=int, default=0, help="another seed makes other requests (0)")
    parser.add_argument("--only", default="", metavar="TEXT", help="routes whose name holds this text")
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 200)
    signal.signal(signal.SIGTERM, _leave)  # so that the server is stopped then too
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="keepsite-fuzz-"))
        url = stack.enter_context(MariaDB()).url if options.database == "mariadb" else None
        product = Product(f"{folder}/state", database_url=url, KEEPSITE_LOG_LEVEL="ERROR").setup()
        stack.callback(product.stop)
        campaign = Campaign(product, console, options)
        with contextlib.suppress(KeyboardInterrupt):
            campaign.run()
        campaign.report()
        log = (product.folder / "api.log").read_text()
        if campaign.failures:
            console.print(f"\nThe server's log ends with:\n{log[-6000:]}", markup=False, highlight=False)
    return 1 if campaign.failures else 0


class Campaign:
    """The routes in turn, what was answered, and what was wrong."""

    def __init__(self, product, console, options):
        self._options = options
        self._console = console
        self._routes = [route for route in ROUTES if options.only in str(route)]
        self._url = urlsplit(product.environment["KEEPSITE_DATABASE_URL"])
        self.failures = {}
        send = OverSocket(product.port)
        tokens = {
            "member": product.key,
            "admin": product.make_key(project="service", user="root", roles=["admin"]),
            "reader": product.make_key(project="p1", user="u2", roles=["reader"]),
            "stranger": product.make_key(project="p2", user="u3", roles=["member"]),
        }
        self._connection = self._connect()
        product.start("api")  # orders stay as they are placed: nothing writes but requests
        world = World(send, tokens)
        for token in tokens:  # a project's first secret makes its key: not what is looked for
            world.ask(
                "POST", "/v1/secrets", {"payload": "x", "payload_content_type": "text/plain"}, token=token
            )
        self._checking = Checking(world, send, Rows(self._connection))

    def run(self):
        """Round by round, until there were enough requests; a route that failed is left out from then on."""
        number = 0
        with self._progress() as advance:
            while self._sent < self._options.requests and self._routes:
                for route in list(self._routes):
                    before = self._sent
                    self._start_afresh()
                    self._one_round(route, self._options.seed * 1_000_000 + number)
                    number += 1
                    advance(self._sent - before, self._sent)
                    if self._sent >= self._options.requests:
                        return

    def _one_round(self, route, number):
        try:
            self._checking.examine(route, route.calls(malformed=True), requests=ROUND, number=number)
        except Exception as problem:  # noqa: BLE001  # every route has its turn; all are reported at the end
            causes = problem.exceptions if isinstance(problem, ExceptionGroup) else [problem]
            self.failures[str(route)] = "\n".join(map(str, causes))
            self._console.print(f"\n== {route}\n{self.failures[str(route)]}", markup=False, highlight=False)
            self._routes.remove(route)

    def report(self):
        """Routes by statuses, then what was wrong in a line each."""
        statuses = sorted({status for _, status in self._checking.statuses})
        table = Table("route", *map(str, statuses))
        for name in dict.fromkeys(str(route) for route in ROUTES):
            counts = [self._checking.statuses[name, status] for status in statuses]
            if any(counts):
                table.add_row(name, *(str(count or "") for count in counts))
        totals = [
            sum(self._checking.statuses[route] for route in self._checking.statuses if route[1] == s)
            for s in statuses
        ]
        table.add_row("all", *map(str, totals))
        self._console.print(table)
        done = f"{self._sent} requests on {self._options.database}, {len(table.rows) - 1} routes"
        self._console.print(
            f"{done}, seed {self._options.seed}: {len(self.failures)} routes answered wrongly"
        )
        for name, problem in self.failures.items():
            self._console.print(f"{name}: {problem.partition(chr(10))[0]}", markup=False, highlight=False)

    @property
    def _sent(self):
        return sum(self._checking.statuses.values())

    def _connect(self):
        """A connection that commits each statement and minds no foreign keys."""
        if self._url.scheme == "sqlite":
            return sqlite3.connect(self._url.path, timeout=20, isolation_level=None)
        return MySQLdb.connect(
            host=self._url.hostname, port=self._url.port, user=self._url.username, charset="utf8mb4",
            password=unquote(self._url.password), database=self._url.path.strip("/"), autocommit=True,
            init_command="SET foreign_key_checks=0",
        )  # fmt: skip

    def _start_afresh(self):
        """Forget all objects, so that reading every row stays quick."""
        self._checking.world.forget()
        with contextlib.closing(self._connection.cursor()) as cursor:
            for table in tables():
                if table not in KEPT:
                    cursor.execute(f"DELETE FROM {table}")

    @contextlib.contextmanager
    def _progress(self):
        """What is called with the requests just made and all so far: a bar in a terminal, else lines."""
        if not self._console.is_terminal:
            printed = 0

            def line(_, sent):
                nonlocal printed
                if sent // LINE_EVERY > printed:
                    printed = sent // LINE_EVERY
                    self._console.print(
                        f"{sent} of {self._options.requests} requests, {len(self.failures)} wrong"
                    )

            yield line
            return
        columns = (TextColumn("requests"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self._console) as progress:
            task = progress.add_task("requests", total=self._options.requests)
            yield lambda made, _: progress.update(task, advance=made)


def _leave(*_):
    raise KeyboardInterrupt  # Hypothesis takes SystemExit for a failure of what it examines


if __name__ == "__main__":
    sys.exit(main())
