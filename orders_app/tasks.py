"""What workers run.  A message holds one id and nothing else; the task's name carries the version.

With the order that it names come the keys that were handed out in the same breath, so that many
that wait cost one message, one claim and one commit.  A release that knows nothing of that
fulfils the one that is named; the others are handed out again.
"""

from collections.abc import Sequence

import structlog
from celery import Task
from celery.exceptions import SoftTimeLimitExceeded

from keepsite import writes
from keepsite.celery import app
from keepsite.errors import KeepsiteError, Unavailable
from keepsite.schedule.services import run_job
from orders_app import services
from orders_app.wakeup import wake_relay

log = structlog.get_logger(__name__)

FULFIL = "orders.fulfil.v1"
RUN_JOB = "schedule.run.v1"
DATABASE_AWAY = "The database was away for a moment."


class OrderTask(Task):  # type: ignore[type-arg]  # generic for type checkers only
    """The only place that decides how an order under work ends."""

    abstract = True

    def settle(self, held: Sequence[services.Claim]) -> None:
        """Fulfil the orders of one claim; release them for another try, or end them with an error.

        What meets the time limit is left to its lease: the attempt counts, and another worker tries
        again.  Nothing more is asked of the database, which may be what took so long.
        """
        try:
            self._settle_all(held)
        except SoftTimeLimitExceeded:
            log.warning("order.took_too_long", order_ids=[one.order.id for one in held])

    def _settle_all(self, held: Sequence[services.Claim]) -> None:
        together = [one for one in held if one.may_share_a_commit]
        alone = [one for one in held if not one.may_share_a_commit]
        if len(together) > 1:
            alone += self._settle_together(together)
        else:
            alone = list(held)
        for one in alone:
            try:
                self._settle(one)
            except services.ClaimLost:
                log.info("order.claim_lost", order_id=one.order.id)

    def _settle_together(self, held: Sequence[services.Claim]) -> Sequence[services.Claim]:
        """Fulfil keys in one commit; return those that must be settled each by itself."""
        try:
            services.fulfil_together(held)
        except SoftTimeLimitExceeded:
            raise
        except Unavailable as error:
            services.release(held, fault=error.public)
        except Exception as error:  # noqa: BLE001  # which of them it is shows when each is tried
            if not writes.is_passing(error):
                log.warning("orders.apart", orders=len(held), error=type(error).__name__)
                return held
            services.release(held, fault=DATABASE_AWAY)
        return []

    def _settle(self, held: services.Claim) -> None:
        try:
            services.fulfil(held)
        except (services.ClaimLost, SoftTimeLimitExceeded):
            raise
        except Unavailable as error:
            services.release([held], fault=error.public)
        except KeepsiteError as error:
            log.exception("order.failed", order_id=held.order.id, error=type(error).__name__)
            services.fail(held, reason=error.public)
        except Exception as error:
            if writes.is_passing(error):  # a read met a database that was away for a moment
                services.release([held], fault=DATABASE_AWAY)
                return
            log.exception("order.failed_unexpectedly", order_id=held.order.id)
            services.fail(held, reason="Keepsite failed to make this key; its log has the details.")


@app.task(name=FULFIL, base=OrderTask, bind=True)
def fulfil(self: OrderTask, order_id: str) -> None:
    """Fulfil an order and those handed out with it, unless they are done, deleted or in other hands."""
    structlog.contextvars.clear_contextvars()  # of the task before
    held = services.claim(order_id)
    if not held:
        log.info("order.nothing_to_do", order_id=order_id)
        return
    self.settle(held)
    if len(held) > 1:
        wake_relay()  # more may wait than are on their way at a time


@app.task(name=RUN_JOB)
def run_scheduled_job(name: str) -> None:
    """Run a job of the schedule, unless it is not due any more or another worker is at it."""
    structlog.contextvars.clear_contextvars()  # of the task before
    structlog.contextvars.bind_contextvars(job=name)
    if not run_job(name):
        log.info("schedule.nothing_to_do", job=name)
