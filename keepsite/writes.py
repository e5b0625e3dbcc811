"""One way to write: a function that may be run again from its start.

A Galera master may refuse a transaction at any statement, and may lose the
primary component during COMMIT, which leaves the outcome unknown.  So a write is
a function without side effects besides its rows, whose primary keys were chosen
before the first try; it is run again until it commits, for a bounded time.
"""

import random
import time
from collections.abc import Callable

import structlog
from django.db import InterfaceError, OperationalError, connection, transaction

from keepsite.errors import Unavailable

log = structlog.get_logger(__name__)

TRIES = 8
BUDGET_S = 8.0  # above the stall of a cluster that loses a member, below a balancer's timeout
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 1.0

# Source: MariaDB's error list; what each leaves behind was measured on a cluster that loses members.
REPEATABLE = frozenset(
    {
        1205,  # lock wait, and a causal read while the cluster's view changes: rolled back
        1213,  # certification failure, deadlock: rolled back
        1047,  # node outside the primary component: nothing done
        1180,  # COMMIT while the node leaves the primary component: unknown
        1053, 1927, 4031,  # shutting down, killed: nothing done
        2002, 2003,  # connection refused: nothing done
        2006, 2013,  # server gone: unknown during COMMIT
    }
)  # fmt: skip


def commit(work: Callable[[], object], *, committed: Callable[[], bool]) -> None:
    """Run ``work`` in one transaction of its own; on return it is durable.

    ``work`` may run several times, so it chooses no ids and touches nothing but rows.
    ``committed`` is asked before each further try, inside its transaction: whether an
    earlier one had committed after all.

    Raises:
        Unavailable: the database did not take it in time; whether an earlier try
            committed is then unknown to the caller, and a retry is safe.
    """

    def in_a_transaction(attempt: int) -> None:
        with transaction.atomic(durable=True):
            if attempt == 0 or not committed():
                work()

    _repeat(in_a_transaction)


def commit_statement(work: Callable[[], object], *, committed: Callable[[], bool]) -> None:
    """As ``commit``, for ``work`` that is one statement: the database commits it by itself.

    That saves the three round trips of a transaction.

    Raises:
        Unavailable: as ``commit`` does.
        RuntimeError: there is a transaction around it, so that it would not be durable on return.
    """
    around = connection.atomic_blocks
    if around and not getattr(around[-1], "_from_testcase", False):  # as Django judges ``durable``
        raise RuntimeError("A write of its own was asked for inside a transaction.")

    def by_itself(attempt: int) -> None:
        if attempt == 0 or not committed():
            work()

    _repeat(by_itself)


def _repeat(try_once: Callable[[int], None]) -> None:
    """Call ``try_once`` with the number of the attempt until the database takes it."""
    started = time.monotonic()
    for attempt in range(TRIES):
        try:
            try_once(attempt)
        except (OperationalError, InterfaceError) as error:
            if connection.in_atomic_block or not is_passing(error):
                raise
            pause = min(FIRST_PAUSE_S * 2**attempt, LONGEST_PAUSE_S) * random.uniform(0.5, 1)  # noqa: S311  # jitter
            if attempt + 1 == TRIES or time.monotonic() - started + pause > BUDGET_S:
                log.exception("database.write_given_up", attempts=attempt + 1)
                raise Unavailable("The database is unavailable. Try again.") from error
            log.warning("database.write_repeated", attempt=attempt + 1, code=_code_of(error))
            connection.close()
            time.sleep(pause)
        else:
            return
    raise AssertionError("the loop returns or raises")


def _code_of(error: Exception) -> int | None:
    code = error.args[0] if error.args else None
    return code if isinstance(code, int) else None


def is_passing(error: Exception) -> bool:
    """Whether the database is only away, or busy, for a moment: the same statement may work later."""
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    if connection.vendor == "mysql":
        return isinstance(error, InterfaceError) or _code_of(error) in REPEATABLE
    return connection.vendor == "sqlite" and "locked" in str(error)
