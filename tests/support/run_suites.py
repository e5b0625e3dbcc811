"""``make test`` after lint: the whole suite on SQLite, then what touches the database again on MariaDB.

Both runs talk to a RabbitMQ started here.  The last line is ``N passed, N failed``, over both.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from typing import NoReturn

from tests.support.servers.mariadb import MariaDB
from tests.support.servers.rabbitmq import RabbitMQ

# These never look at the database the run is about.
NOT_ABOUT_THE_DATABASE = (
    "tests/hsm",
    "tests/embedded",
    "tests/house",
    "tests/identity/test_keystone.py",
    "tests/clients/test_openstack_cli.py",
    "tests/cluster/test_chaos_orders.py",  # brings a MariaDB of its own
)
OUTCOME = re.compile(r"(\d+) (passed|failed|error)")
SUMMARY = re.compile(r"^=*\s*(?=.*\b(passed|failed|error|errors|skipped|deselected)\b).* in [\d.]+s.*$")


@dataclass(frozen=True, slots=True)
class Run:
    """How one pytest run ended."""

    title: str
    exit_code: int
    summary: str

    @property
    def outcomes(self) -> Counter[str]:
        """Tests passed and failed; a run that broke off counts as a failure."""
        counted = Counter({word: int(number) for number, word in OUTCOME.findall(self.summary)})
        failed = counted["failed"] + counted["error"]
        if self.exit_code and not failed:
            failed = 1
        return Counter(passed=counted["passed"], failed=failed)


def main() -> int:
    signal.signal(signal.SIGTERM, _leave)  # so that the servers are stopped then too
    # The shell's own deployment must not be what the tests write to.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("KEEPSITE_")}
    scratch = tempfile.mkdtemp(prefix="keepsite-suites-")
    clean["TMPDIR"] = scratch
    say("Starting MariaDB and RabbitMQ on private ports ...")
    with MariaDB() as mariadb, RabbitMQ() as rabbitmq:
        servers = {"TESTS_MARIADB_URL": mariadb.url, "TESTS_BROKER_URL": rabbitmq.url}
        runs = [
            run_pytest("SQLite", env=clean | servers),
            run_pytest(
                "MariaDB",
                *(f"--ignore={folder}" for folder in NOT_ABOUT_THE_DATABASE),
                *("-m", "not browser"),  # pages look the same on every database
                env=clean | servers | {"KEEPSITE_DATABASE_URL": mariadb.url},
            ),
        ]
    if any(run.exit_code for run in runs):
        say(f"\nWhat the tests wrote is kept in {scratch}")
    else:
        shutil.rmtree(scratch)
    return report(runs)


def run_pytest(title: str, *options: str, env: dict[str, str]) -> Run:
    """Run the suite, showing what it prints as it comes."""
    say(f"\nThe suite on {title}")
    pytest = subprocess.Popen(
        [sys.executable, "-m", "pytest", *options],
        env=env,
        stdout=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    summary = ""
    try:
        for line in pytest.stdout:
            say(line, end="")
            if SUMMARY.match(line):
                summary = line.strip()
    except BaseException:
        pytest.send_signal(signal.SIGINT)  # it tidies up, then ends
        raise
    finally:
        pytest.communicate()
    summary = summary or f"pytest broke off with exit code {pytest.returncode}; see above"
    return Run(title, pytest.returncode, summary)


def report(runs: list[Run]) -> int:
    """Print pytest's own summaries and the sum of both; the exit code."""
    say(f"\n{' and '.join(run.title for run in runs)}:")
    for run in runs:
        say(run.summary)
    total = sum((run.outcomes for run in runs), Counter())
    say(f"{total['passed']} passed, {total['failed']} failed")
    return max(abs(run.exit_code) for run in runs)


def say(text: str, end: str = "\n") -> None:
    sys.stdout.write(text + end)
    sys.stdout.flush()


def _leave(number: int, _: object) -> NoReturn:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
