"""What workers run.  A message holds one id and nothing else; the task's name carries the version."""

import structlog
from celery import Task

from keepsite import writes
from keepsite.celery import app
from keepsite.errors import KeepsiteError, Unavailable
from keepsite.schedule.services import run_job
from orders_app import services

log = structlog.get_logger(__name__)

FULFIL = "orders.fulfil.v1"
RUN_JOB = "schedule.run.v1"


class OrderTask(Task):  # type: ignore[type-arg]  # generic for type checkers only
    """The only place that decides how an order under work ends."""

    abstract = True

    def settle(self, held: services.Claim) -> None:
        """Fulfil a claimed order; release it for another try, or end it with an error."""
        try:
            self._settle(held)
        except services.ClaimLost:
            log.info("order.claim_lost", order_id=held.order.id)

    def _settle(self, held: services.Claim) -> None:
        try:
            services.fulfil(held)
        except services.ClaimLost:
            raise
        except Unavailable as error:
            services.release(held, fault=error.public)
        except KeepsiteError as error:
            log.exception("order.failed", order_id=held.order.id, error=type(error).__name__)
            services.fail(held, reason=error.public)
        except Exception as error:
            if writes.is_passing(error):  # a read met a database that was away for a moment
                services.release(held, fault="The database was away for a moment.")
                return
            log.exception("order.failed_unexpectedly", order_id=held.order.id)
            services.fail(held, reason="Keepsite failed to make this key; its log has the details.")


@app.task(name=FULFIL, base=OrderTask, bind=True)
def fulfil(self: OrderTask, order_id: str) -> None:
    """Fulfil one order, unless it is done, deleted or in other hands."""
    structlog.contextvars.clear_contextvars()  # of the task before
    structlog.contextvars.bind_contextvars(order_id=order_id)
    held = services.claim(order_id)
    if held is None:
        log.info("order.nothing_to_do", order_id=order_id)
        return
    self.settle(held)


@app.task(name=RUN_JOB)
def run_scheduled_job(name: str) -> None:
    """Run a job of the schedule, unless it is not due any more or another worker is at it."""
    structlog.contextvars.clear_contextvars()  # of the task before
    structlog.contextvars.bind_contextvars(job=name)
    if not run_job(name):
        log.info("schedule.nothing_to_do", job=name)
