"""``make test``: lint and the suite on SQLite and, beside them, what touches the database on MariaDB.

Every line says whose it is.  At the end stand once more the tests that failed, and last of
all ``N passed, N failed``, over all.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NoReturn

from tests.support.servers.mariadb import MariaDB
from tests.support.servers.rabbitmq import RabbitMQ

# These never look at the database the run is about.
NOT_ABOUT_THE_DATABASE = (
    "tests/hsm",
    "tests/embedded",
    "tests/house",
    "tests/openapi",
    "tests/console/test_roles.py",
    "tests/identity/test_keystone.py",
    "tests/identity/test_policy.py",
    "tests/identity/test_policy_tools.py",
    "tests/clients/test_go_wire.py",
    "tests/clients/test_openstack_cli.py",
    "tests/clients/test_verbs.py",
    "tests/cluster/test_colour.py",
    "tests/cluster/test_hsm_faults.py",
    "tests/cluster/test_allowed_failures.py",
    "tests/cluster/test_chaos_orders.py",  # brings a MariaDB of its own
    "tests/cluster/test_galera.py",  # brings two
)
# These take minutes, and run on the database of a deployment alone.
ON_MARIADB_ALONE = (
    "tests/clients/test_barbicanclient.py",
    "tests/clients/test_castellan.py",
    "tests/clients/test_openstacksdk.py",
    "tests/clients/test_services.py",
    "tests/console/test_readonly.py",
    "tests/fuzz",
    "tests/cluster/test_no_leaks.py",
    "tests/cluster/test_rotation_kill.py",
    "tests/cluster/test_rotation_campaign.py",
)
# What starts processes mostly waits for them: it runs beside the rest, marked with a plus.
PROCESSES = "processes or browser or keystone"
# Kills and browsers, which take the longest: a part of their own, marked with two.
LONGEST = ("tests/cluster", "tests/console")
_saying = threading.Lock()
OUTCOME = re.compile(r"(\d+) (passed|failed|error)")
FAILED = re.compile(r"^(FAILED|ERROR) \S+::")
SUMMARY = re.compile(r"^=*\s*(?=.*\b(passed|failed|error|errors|skipped|deselected)\b).* in [\d.]+s.*$")


@dataclass(frozen=True, slots=True)
class Run:
    """How one part ended."""

    title: str
    exit_code: int
    summary: str
    failed: tuple[str, ...] = ()

    @property
    def outcomes(self) -> Counter[str]:
        """Tests passed and failed; a run that broke off counts as a failure."""
        counted = Counter({word: int(number) for number, word in OUTCOME.findall(self.summary)})
        failed = counted["failed"] + counted["error"]
        if self.exit_code and not failed:
            failed = 1
        return Counter(passed=counted["passed"], failed=failed)


class Part:
    """One command, whose lines appear as they come."""

    def __init__(self, title: str, *command: str, env: dict[str, str]) -> None:
        self.title = title
        self._command = subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )

    def watch(self) -> Run:
        """Show what it prints until it ends."""
        summary, failed = "", []
        for line in self._command.stdout:
            say(f"{self.title:<9} | {line}", end="")
            if SUMMARY.match(line):
                summary = line.strip()
            if FAILED.match(line):
                failed.append(line.strip())
        exit_code = self._command.wait()
        ended = f"ended with exit code {exit_code}" + ("; see above" if exit_code else "")
        return Run(self.title, exit_code, summary or ended, tuple(failed))

    def interrupt(self) -> None:
        """Have it tidy up and end, if it still runs."""
        self._command.send_signal(signal.SIGINT)


def pytest(title: str, *options: str, env: dict[str, str]) -> Part:
    """Begin one pytest run."""
    return Part(title, sys.executable, "-m", "pytest", "--durations=8", *options, env=env)


def main() -> int:
    signal.signal(signal.SIGTERM, _leave)  # so that the servers are stopped then too
    # The shell's own deployment must not be what the tests write to.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("KEEPSITE_")}
    scratch = tempfile.mkdtemp(prefix="keepsite-suites-")
    clean["TMPDIR"] = scratch
    clean.pop("PYTHONDONTWRITEBYTECODE", None)  # or each of some hundred processes would compile it all anew
    say("Starting MariaDB and two RabbitMQ on private ports ...")
    with MariaDB() as mariadb, RabbitMQ() as first_broker, RabbitMQ() as second_broker:
        clean["TESTS_MARIADB_URL"] = mariadb.url
        say("The suite on SQLite, and beside it what touches the database on MariaDB; in parts")
        on_mariadb = [f"--ignore={place}" for place in NOT_ABOUT_THE_DATABASE]
        on_sqlite = [f"--ignore={place}" for place in ON_MARIADB_ALONE]
        runs = watch_all(
            Part("lint", "make", "--no-print-directory", "lint", env=clean),
            pytest("SQLite", "-m", f"not ({PROCESSES})", *on_sqlite, env=clean),
            pytest(
                "SQLite +",
                *("-m", PROCESSES, *(f"--ignore={place}" for place in LONGEST), *on_sqlite),
                env=clean | {"TESTS_BROKER_URL": first_broker.url},
            ),
            pytest(
                "SQLite ++",
                *("-m", PROCESSES, *LONGEST, *on_sqlite),
                env=clean,
            ),
            pytest(
                "MariaDB",
                *("-m", f"not ({PROCESSES})", *on_mariadb),
                env=clean | {"KEEPSITE_DATABASE_URL": mariadb.url},
            ),
            pytest(
                "MariaDB +",
                *("-m", "processes and not (browser or keystone)", *on_mariadb),
                env=clean
                | {
                    "TESTS_BROKER_URL": second_broker.url,
                    "KEEPSITE_DATABASE_URL": f"{mariadb.url}_of_processes",
                },
            ),
        )
    if any(run.exit_code for run in runs):
        say(f"\nWhat the tests wrote is kept in {scratch}")
    else:
        shutil.rmtree(scratch)
    return report(runs)


def watch_all(*parts: Part) -> list[Run]:
    """Watch the parts until all have ended; what interrupts this interrupts them."""
    with ThreadPoolExecutor(len(parts)) as watchers:
        watched = [watchers.submit(part.watch) for part in parts]
        try:
            return [run.result() for run in watched]
        except BaseException:
            for part in parts:
                part.interrupt()
            raise


def report(runs: list[Run]) -> int:
    """Print pytest's own summaries and their sum; the exit code."""
    say("")
    for run in runs:
        for failed in run.failed:
            say(f"{run.title:<9} {failed}")
    for run in runs:
        say(f"{run.title:<9} {run.summary}")
    total = sum((run.outcomes for run in runs), Counter())
    say(f"{total['passed']} passed, {total['failed']} failed")
    return max(abs(run.exit_code) for run in runs)


def say(text: str, end: str = "\n") -> None:
    with _saying:
        sys.stdout.write(text + end)
        sys.stdout.flush()


def _leave(number: int, _: object) -> NoReturn:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
