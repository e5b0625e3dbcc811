"""``make chaos-colour``: blue and green change places under load, and back, behind a real haproxy.

Two blue and two green nodes, each with an API and a node agent of its own on an address of its own;
one haproxy for each pool, configured by deploy/haproxy/pool.cfg.  50 requests a second come in, each on
a new connection.  No request may fail, and none may be answered by a node of the wrong colour.
"""

import argparse
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from keepsite.nodes import state_file
from tests.support.product import CHECKOUT, Product
from tests.support.servers.haproxy import HAProxy
from tests.support.servers.mariadb import MariaDB
from tests.support.servers.ports import free_ports
from tests.support.waiting import wait_until

NODES = {"api1": "127.0.0.11", "api2": "127.0.0.12", "api3": "127.0.0.13", "api4": "127.0.0.14"}
COLOURS = {"api1": "green", "api2": "green", "api3": "blue", "api4": "blue"}
RATE = 50  # requests per second
LATENCY_LIMIT_S = 20


@dataclass(frozen=True)
class Row:
    """What the callers of the green pool saw during one act."""

    act: str
    seconds: float
    requests: int
    failed: int
    wrong_colour: int
    p50_ms: float
    worst_ms: float
    served_by: str


@dataclass(frozen=True)
class Outcome:
    """One request: how it ended, who answered, and whether that node was of the other colour all the time."""

    method: str
    status: int | str
    served_by: str
    seconds: float
    wrong_colour: bool

    @property
    def failed(self):
        return self.status not in {200, 201}


class Site:
    """Four nodes on one database and one token."""

    def __init__(self, folder, database_url, *, settle_s):
        self.api_port, self.agent_port = free_ports(2)
        self.product = Product(
            Path(folder) / "shared",
            database_url=database_url,
            KEEPSITE_ALLOWED_HOSTS="*",
            KEEPSITE_NODE_HEARTBEAT_S="0.5",
            KEEPSITE_PROMOTE_SETTLE_S=str(settle_s),
            KEEPSITE_PROMOTE_DRAIN_S="60",
            KEEPSITE_HOST_HREF="http://keepsite.example",
            KEEPSITE_THREADS="8",
        )
        self.folders = {name: Path(folder) / name for name in NODES}
        self.processes = {}

    def start(self):
        """Bring up every node, each with its colour."""
        self.product.setup()
        for name, folder in self.folders.items():
            folder.mkdir()
            (folder / "node-state").write_text(f"{COLOURS[name]} up\n")
            (folder / "static").symlink_to(self.product.folder / "static")
            self._spawn(name, "api", "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "keepsite.wsgi")
            self._spawn(name, "agent", "manage.py", "node_agent")
        for name in NODES:
            wait_until(lambda name=name: self._answers(name), 120)
        return self

    @contextmanager
    def frozen_api(self, name):
        """What serves on a node stands still for a while; its agent goes on."""
        group = self.processes[name, "api"].pid
        os.killpg(group, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(group, signal.SIGCONT)

    def states(self):
        """What each node's file says now."""
        return {name: str(state_file.read(folder / "node-state")) for name, folder in self.folders.items()}

    def promote(self, *arguments):
        """Start ``manage.py promote`` beside the load."""
        return subprocess.Popen(
            [sys.executable, "manage.py", "promote", *arguments],
            cwd=CHECKOUT, env=self.product.environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def stop(self):
        """End every process politely, then by force."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _spawn(self, name, kind, *command):
        environment = self.product.environment | {
            "KEEPSITE_NODE_NAME": name,
            "KEEPSITE_STATE_DIR": str(self.folders[name]),
            "KEEPSITE_BIND": f"{NODES[name]}:{self.api_port}",
            "KEEPSITE_NODE_BIND": f"{NODES[name]}:{self.agent_port}",
        }
        with (self.product.folder / f"{name}-{kind}.log").open("ab") as log:
            self.processes[name, kind] = subprocess.Popen(
                [sys.executable, *command],
                cwd=CHECKOUT, env=environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def _answers(self, name):
        try:
            return ask(NODES[name], self.api_port, "GET", "/healthcheck", {"X-Pool": COLOURS[name]})[0] == 200
        except OSError:
            return False


def ask(host, port, method, path, headers, body=None):
    """One request on a connection of its own: status, who served it, body."""
    client = http.client.HTTPConnection(host, port, timeout=LATENCY_LIMIT_S)
    try:
        client.request(method, path, body, headers)
        answer = client.getresponse()
        return answer.status, answer.getheader("X-Served-By", ""), answer.read()
    finally:
        client.close()


class Load:
    """Callers of the green pool at a steady rate: one third stores secrets, the rest reads one."""

    def __init__(self, site, balancer, rate):
        self.site, self.balancer, self.rate = site, balancer, rate
        self.headers = {"X-Auth-Token": site.product.key, "Connection": "close"}
        self.outcomes = []
        self._over = threading.Event()
        self._clock = threading.Thread(target=self._run)
        body = self._store()
        self.path = "/v1/secrets/" + json.loads(body)["secret_ref"].rpartition("/")[2] + "/payload"

    def __enter__(self):
        self._clock.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._clock.join()

    def take(self):
        """Outcomes since the last time."""
        taken, self.outcomes = self.outcomes, []
        return taken

    def _run(self):
        due = time.monotonic()
        with ThreadPoolExecutor(64) as callers:
            while not self._over.is_set():
                callers.submit(self._one, "POST" if random.random() < 1 / 3 else "GET")  # a mix
                due += 1 / self.rate
                self._over.wait(max(0.0, due - time.monotonic()))

    def _one(self, method):
        before, started = self.site.states(), time.monotonic()
        served_by = ""
        try:
            if method == "POST":
                status, served_by, _ = self._request("POST", "/v1/secrets", self._body())
            else:
                status, served_by, _ = self._request("GET", self.path)
        except (OSError, http.client.HTTPException) as error:
            status = type(error).__name__
        seconds, after = time.monotonic() - started, self.site.states()
        wrong = bool(served_by) and not any(
            states[served_by].startswith("green") for states in (before, after)
        )
        self.outcomes.append(Outcome(method, status, served_by, seconds, wrong))

    def _request(self, method, path, body=None):
        headers = self.headers | ({"Content-Type": "application/json"} if body else {"Accept": "text/plain"})
        return ask("127.0.0.1", self.balancer.port, method, path, headers, body)

    def _store(self):
        status, _, body = self._request("POST", "/v1/secrets", self._body())
        if status != 201:
            raise RuntimeError(f"the first secret was not stored: {status} {body!r}")
        return body

    @staticmethod
    def _body():
        return json.dumps({"name": "load", "payload": "a secret", "payload_content_type": "text/plain"})


def row(act, outcomes, seconds):
    """One line of the table."""
    ordered = sorted(outcome.seconds * 1000 for outcome in outcomes) or [0.0]
    served = {name: sum(outcome.served_by == name for outcome in outcomes) for name in NODES}
    return Row(
        act=act,
        seconds=round(seconds, 1),
        requests=len(outcomes),
        failed=sum(outcome.failed for outcome in outcomes),
        wrong_colour=sum(outcome.wrong_colour for outcome in outcomes),
        p50_ms=round(ordered[len(ordered) // 2], 1),
        worst_ms=round(ordered[-1], 1),
        served_by=" ".join(f"{name}:{count}" for name, count in served.items()),
    )


@contextmanager
def pools(folder, database_url=None, *, settle_s=8):
    """The site and the balancers of its green and its blue pool, all of them answering."""
    with ExitStack() as held:
        site = Site(folder, database_url, settle_s=settle_s)
        held.callback(site.stop)
        site.start()
        ports = {"api_port": site.api_port, "agent_port": site.agent_port}
        balancers = [held.enter_context(HAProxy(pool, NODES, **ports)) for pool in ("green", "blue")]
        for balancer in balancers:
            wait_until(
                lambda port=balancer.port: ask("127.0.0.1", port, "GET", "/healthcheck", {})[0] == 200, 60
            )
        yield site, *balancers


def campaign(folder, *, rate=RATE, say=print):
    """Run every act; yield its row when it is over."""
    with (
        MariaDB() as mariadb,
        pools(folder, mariadb.url) as (site, green, blue),
        Load(site, green, rate) as load,
    ):
        for name, act in (
            ("steady", lambda: time.sleep(5)),
            ("haproxy reloads", lambda: _reload(green)),
            ("promote, haproxy reloads amid it", lambda: _promote_amid_a_reload(site, green, say)),
            ("roll back what is done", lambda: _finish(site.promote("rollback", "--reason", "back"), say)),
            ("promote, roll back half way", lambda: _turn_round(site, say)),
            ("promote", lambda: promote(site, say)),
            ("blue pool asked as well", lambda: check_blue(site, blue)),
        ):
            load.take()
            started = time.monotonic()
            act()
            time.sleep(1)
            yield row(name, load.take(), time.monotonic() - started)


def promote(site, say):
    """Blue and green change places; returns when they have."""
    _finish(site.promote("start", "--reason", "release"), say)


def _reload(balancer):
    balancer.reload()
    time.sleep(4)


def _promote_amid_a_reload(site, balancer, say):
    """The new process starts while an old green node drains: the moment at which it knows least."""
    with site.promote("start", "--reason", "release", "--no-wait") as started:
        started.communicate()
    wait_until(lambda: "green drain" in site.states().values(), 120)
    balancer.reload()
    _finish(site.promote("watch"), say)


def _finish(promotion, say):
    with promotion:
        for line in promotion.stdout:
            say(f"  {line.rstrip()}")
    if promotion.returncode:
        raise RuntimeError("the promotion did not end well; see above")


def _turn_round(site, say):
    with site.promote("start", "--reason", "back", "--no-wait") as started:
        started.communicate()
    wait_until(
        lambda: list(site.states().values()).count("green up") > 2, 120
    )  # the first blue node has turned
    _finish(site.promote("rollback", "--reason", "half way"), say)


def check_blue(site, blue):
    """The blue pool is answered by blue nodes only."""
    for _ in range(20):
        _, served_by, _ = ask("127.0.0.1", blue.port, "GET", "/healthcheck", {"Connection": "close"})
        if not site.states()[served_by].startswith("blue"):
            raise RuntimeError(f"the blue pool was answered by {served_by}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=int, default=RATE, help="requests per second (default: %(default)s)")
    parser.add_argument("--json", action="store_true", dest="as_json")
    options = parser.parse_args()
    say = (lambda *_: None) if options.as_json else print
    with tempfile.TemporaryDirectory(prefix="keepsite-colour-") as folder:
        rows = []
        line = "{:<36} {:>6} {:>8} {:>6} {:>12} {:>7} {:>8}  {}"
        head = line.format(
            "act", "s", "requests", "failed", "wrong colour", "p50 ms", "worst ms", "served by"
        )
        for made in campaign(folder, rate=options.rate, say=say):
            rows.append(made)
            say(head)
            say(line.format(*asdict(made).values()))
    if options.as_json:
        print(json.dumps([asdict(made) for made in rows], indent=2))  # what was asked for
    return int(any(made.failed or made.wrong_colour for made in rows))


if __name__ == "__main__":
    os.chdir(CHECKOUT)
    sys.exit(main())
