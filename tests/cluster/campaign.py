"""Orders under faults: everything that can be killed or cut off is, one after the other, under load.

``make chaos-orders`` runs all of it with 2,000 orders; a test runs a short form.
"""

import contextlib
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import MySQLdb

from tests.cluster.allowed_failures import unexpected
from tests.support.order_load import OrderLoad
from tests.support.pkcs11_standins import Shim
from tests.support.product import Product
from tests.support.remote import Remote
from tests.support.servers.mariadb import MariaDB
from tests.support.servers.rabbitmq_cluster import RabbitMQCluster
from tests.support.waiting import wait_until

CKR_DEVICE_ERROR = 0x30
ORDERS, DEAD = "keepsite.orders", "keepsite.dead"
SETTLE_TIMEOUT_S = 100
PAYLOADS_READ = 100
LOG_TAIL_LINES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """What one fault did."""

    fault: str
    began: float
    repaired: float
    recovered: float  # every order placed before the repair has ended

    @property
    def lasted_s(self):
        """From the fault to its repair: the part is back and answers."""
        return self.repaired - self.began

    @property
    def settled_s(self):
        """From the repair until nothing placed before it waits any more."""
        return self.recovered - self.repaired


class Campaign:
    """The product on its servers, under load; ``run`` the faults, then ``verify``."""

    def __init__(self, *, total, per_second):
        self._total, self._per_second = total, per_second
        self.phases: list[Phase] = []

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="keepsite-chaos-")))
            self.database = stack.enter_context(MariaDB())
            self.broker = stack.enter_context(RabbitMQCluster())
            self.product = Product(
                folder / "state", database_url=self.database.url, broker_url=self.broker.url
            )
            self.shim = Shim(self.product.folder, self.product.token.module)
            self.product.environment |= self.shim.environment
            self.product.token.config_file(self.shim.module)
            stack.callback(self.product.stop)
            self.product.setup().start("api", "relay", "worker", "worker-2")
            self._warm()
            self.load = OrderLoad(self.product, total=self._total, per_second=self._per_second)
            stack.callback(self.load.stop)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *failure):
        if failure[0] is not None:
            self._tell_what_waits()
        self._stack.__exit__(*failure)

    # --- the faults: each is done and repaired within a block

    @contextlib.contextmanager
    def worker_killed(self):
        """A worker, with its child, inside an order if it has one."""
        self.product.kill("worker")
        yield 3
        self.product.start("worker")

    @contextlib.contextmanager
    def leader_killed(self):
        """The node that leads the queue of orders."""
        leader = self.broker.leader_of(ORDERS)
        self.broker.kill(leader)
        yield 8
        self.broker.bring_back(leader)
        wait_until(lambda: self.broker.node_answers(leader), 120)

    @contextlib.contextmanager
    def node_cut_off(self):
        """The node that leads the queue now, from its peers and from the balancer, silently."""
        node = self.broker.leader_of(ORDERS)
        self.broker.cut(node)
        yield 20
        self.broker.mend(node)
        wait_until(lambda: self.broker.node_answers(node), 120)

    @contextlib.contextmanager
    def database_killed(self):
        """The only database there is."""
        self.database.kill()
        yield 5
        self.database.bring_back()

    @contextlib.contextmanager
    def hsm_away(self):
        """Every call of every process fails as those to a device that is gone."""
        self.shim.answer(CKR_DEVICE_ERROR)
        yield 5
        self.shim.clear()

    @contextlib.contextmanager
    def api_node_killed(self):
        """API and relay together, after orders were committed and before they were handed out."""
        self.product.freeze("relay")
        before = self.load.count
        wait_until(lambda: self.load.count >= before + 5 or self.load.count >= self._total)
        self.product.kill("api")
        self.product.kill("relay")
        yield 2
        self.product.start("api", "relay")

    @contextlib.contextmanager
    def relay_killed(self):
        """The only relay there is."""
        self.product.kill("relay")
        yield 3
        self.product.start("relay")

    def run(self, *names):
        """The named faults, spread over the load, each after the one before it has healed."""
        self.load.start()
        for number, name in enumerate(names):
            start_at = self._total * (number + 1) // (len(names) + 2)
            wait_until(lambda start_at=start_at: self.load.count >= start_at, 600)
            self._phase(name)
        self.load.join()
        wait_until(lambda: not self._waiting_before(time.time()), SETTLE_TIMEOUT_S)

    def _phase(self, name):
        began = time.time()
        with getattr(self, name)() as away_s:
            until = time.monotonic() + away_s
            wait_until(lambda: time.monotonic() >= until, away_s + 5)
        repaired = time.time()
        wait_until(lambda: not self._waiting_before(repaired), SETTLE_TIMEOUT_S)
        self.phases.append(Phase(fault=name, began=began, repaired=repaired, recovered=time.time()))

    # --- what came of it

    def verify(self):
        """Every acknowledged order has exactly its result; nothing else is there, nothing waits.

        And no request failed that the fault of its time is no excuse for.
        """
        problems = []
        rows = {row[0]: row for row in self.rows(
            "SELECT id, status, type, secret_id, container_id, error_reason FROM orders_app_order"
        )}  # fmt: skip
        acknowledged = self.load.placed.acknowledged
        if len(acknowledged) < self._total:
            problems.append(f"only {len(acknowledged)} of {self._total} orders were acknowledged")
        problems += [
            f"{order_id}: acknowledged and gone" for order_id in acknowledged if order_id not in rows
        ]
        problems += [
            f"{row[0]}: {row[1]} {row[5]!r}" for row in rows.values() if row[1] != "ACTIVE"
        ]  # every order asked for what can be made, so none may fail
        problems += self._result_problems(rows, acknowledged)
        problems += self._message_problems()
        problems += self._payload_problems(rows)
        problems += unexpected(self.load.placed.failures, self.phases)
        return problems

    def _result_problems(self, rows, acknowledged):
        secrets = {row[0] for row in self.rows("SELECT id FROM secrets_app_secret WHERE deleted_at IS NULL")}
        inside = {}
        for container_id, secret_id in self.rows(
            "SELECT container_id, secret_id FROM secrets_app_containersecret"
        ):
            inside.setdefault(container_id, set()).add(secret_id)
        claimed = []
        for order_id, _, order_type, secret_id, container_id, *_ in rows.values():
            made = [secret_id] if order_type == "key" else [*inside.get(container_id, ())]
            if order_id in acknowledged and len(made) != acknowledged[order_id]:
                yield f"{order_id}: {len(made)} secrets instead of {acknowledged[order_id]}"
            claimed += made
        if len(claimed) != len({*claimed}):
            yield "a secret belongs to two orders"
        if {*claimed} != secrets - self._own_secrets:
            orphans = len(secrets - self._own_secrets - {*claimed})
            yield f"{orphans} orphan secrets, {len({*claimed} - secrets)} missing"
        for table in ("secrets_app_container", "orders_app_orderpassphrase"):
            wanted = len(inside) if table.endswith("container") else 0
            ((count,),) = self.rows(f"SELECT COUNT(*) FROM {table}")
            if count != wanted:
                yield f"{table} has {count} rows instead of {wanted}"
        ((without,),) = self.rows(
            "SELECT COUNT(*) FROM secrets_app_secret s LEFT JOIN secrets_app_payload p ON p.secret_id = s.id "
            "WHERE p.secret_id IS NULL"
        )
        if without:
            yield f"{without} secrets without payload"

    def _message_problems(self):
        ((letters,),) = self.rows("SELECT COUNT(*) FROM orders_app_deadletter")
        if letters:
            yield f"{letters} dead letters"
        wait_until(lambda: self.queued() == {ORDERS: 0, DEAD: 0}, 60)

    def _payload_problems(self, rows):
        remote = Remote(self.product)
        keys = [row[3] for row in rows.values() if row[2] == "key"][:PAYLOADS_READ]
        for secret_id in keys:
            answer = remote.get(f"/v1/secrets/{secret_id}/payload")
            if answer.status != 200 or len(answer.content) not in {16, 32, 64}:
                yield f"secret {secret_id}: {answer.status}"

    def queued(self):
        """Messages of each queue, taken by a worker or not."""
        text = self.broker.ctl(self.broker.nodes[0], "list_queues", "name", "messages", "--silent", "-q")
        lines = [line.split() for line in text.splitlines()]
        return {name: int(count) for name, count in lines if name in {ORDERS, DEAD}}

    def retried(self):
        """How many orders were given back after a fault, and how many were claimed more than once."""
        ((given_back, reclaimed),) = self.rows(
            "SELECT COALESCE(SUM(retries > 0), 0), COALESCE(SUM(attempts > 1), 0) FROM orders_app_order"
        )
        return int(given_back), int(reclaimed)

    def rows(self, statement):
        """What a statement selects."""
        url = urlsplit(self.database.url)
        with contextlib.closing(
            MySQLdb.connect(
                host=url.hostname,
                port=url.port,
                user=url.username,
                password=unquote(url.password),
                database=url.path.strip("/"),
                autocommit=True,
            )
        ) as connection:
            cursor = connection.cursor()
            cursor.execute(statement)
            return cursor.fetchall()

    def longest_wait_s(self, phase):
        """Of an order placed during the fault: from its row's making to its end."""
        ((longest,),) = self.rows(
            "SELECT COALESCE(MAX(TIMESTAMPDIFF(MICROSECOND, created_at, updated_at)), 0) "
            "FROM orders_app_order WHERE created_at "
            f"BETWEEN FROM_UNIXTIME({phase.began - 1:f}) AND FROM_UNIXTIME({phase.recovered:f})"
        )
        return longest / 1e6

    def failures_of(self, phase):
        """Requests that failed during the fault, by kind."""
        kinds = {}
        for failure in self.load.placed.failures:
            if phase.began <= failure.ended <= phase.recovered:
                kinds[failure.kind] = kinds.get(failure.kind, 0) + 1
        return kinds

    def _waiting_before(self, moment):
        return self.rows(
            "SELECT id FROM orders_app_order WHERE status = 'PENDING' AND deleted_at IS NULL "
            f"AND created_at <= FROM_UNIXTIME({moment:f}) LIMIT 1"
        )

    def _tell_what_waits(self):
        """For whoever reads why the campaign broke off."""
        lines = ["phases:", *map(str, self.phases), "waiting orders:"]
        with contextlib.suppress(MySQLdb.Error):
            lines += map(
                str,
                self.rows(
                    "SELECT id, type, created_at, not_before, handed_out_at, lease_until, attempts, retries,"
                    " last_fault, UTC_TIMESTAMP() FROM orders_app_order WHERE status = 'PENDING' LIMIT 5"
                ),
            )
        for log in self.product.folder.glob("*.log"):
            lines += [f"\n{log.name}:", *log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]]
        sys.stderr.write("\n".join(lines) + "\n")

    def _warm(self):
        """The project's key exists, and both workers have proven the token."""
        remote = Remote(self.product)
        remote.store("makes the project's key")
        self._own_secrets = {row[0] for row in self.rows("SELECT id FROM secrets_app_secret")}
        self.broker.leader_of(ORDERS)  # the queue is there
