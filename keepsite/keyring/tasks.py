"""What workers run: slices of rotations.  A message holds a run's id; its name carries the version."""

import structlog
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError

from keepsite.celery import app
from keepsite.keyring.models import KEKRun
from keepsite.keyring.rotation.execution import Execution
from keepsite.keyring.rotation.runners import runner_name
from keepsite.keyring.rotation.runs import claim, worker_of

log = structlog.get_logger(__name__)

RUN = "keyring.run.v1"
SLICE_S = 2.0  # orders wait in the same queue, and are answered within seconds
CONFIRM_TIMEOUT_S = 5


@app.task(name=RUN)
def work_on_run(run_id: str) -> None:
    """Work on a run for a moment, and put it back into the line if something is left."""
    structlog.contextvars.bind_contextvars(run_id=run_id)
    run = claim(run_id, runner=runner_name(), now=timezone.now())
    if run is None:
        log.info("kek_run.nothing_to_do")
        return
    execution = Execution(run, actor=worker_of(run), slice_s=SLICE_S)
    if execution.execute().state == KEKRun.State.QUEUED and not execution.was_let_go:
        try:
            app.send_task(RUN, args=(run_id,), retry=False, confirm_timeout=CONFIRM_TIMEOUT_S)
        except (BrokerError, OSError) as error:  # the relay hands it out again
            log.warning("kek_run.not_handed_on", error=type(error).__name__)
