"""What workers do at intervals for nodes."""

from datetime import timedelta

from django.utils import timezone

from keepsite import schedule
from keepsite.nodes.services import mark_lost

EVERY_S = 60.0
LOST_AFTER = timedelta(minutes=2)


def register_jobs() -> None:
    """Every job of ours."""
    schedule.register(schedule.Job(name="lost-nodes", every_s=EVERY_S, run=mark_lost_nodes))


def mark_lost_nodes(deadline: float) -> bool:  # noqa: ARG001  # two statements
    """Mark nodes without a heartbeat for two minutes, and say so in the log."""
    mark_lost(now=timezone.now(), silent_for=LOST_AFTER)
    return True
