"""Replacing a Celery child whose HSM calls hang: between two tasks if possible, else in the middle of one.

A task that is lost so is handed out again (late acknowledgement, reject on worker
loss), and an order that was done already is not done twice.
"""

import os
import threading
import time

import structlog
from celery.signals import task_postrun, task_prerun

log = structlog.get_logger(__name__)

_EX_RECYCLE = 0x9B  # billiard's exit code of a child that is to be replaced
_LONGEST_TASK_S = 5.0  # beyond this a task is taken for the one that hangs
_RESULT_S = 0.5  # for the last task's result to reach the parent

_idle = threading.Event()
_idle.set()


@task_prerun.connect
def _begin(**_: object) -> None:
    _idle.clear()


@task_postrun.connect
def _end(**_: object) -> None:
    _idle.set()


def replace_this_child(reason: str) -> None:
    """End this process; its parent forks another."""
    was_idle = _idle.wait(_LONGEST_TASK_S)
    log.critical("worker.replaced", reason=reason, lost_a_task=not was_idle)
    time.sleep(_RESULT_S)
    os._exit(_EX_RECYCLE)
