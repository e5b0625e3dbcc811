from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.conf import settings


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLimits:
    """How long things around node colour may take, and how few may be green."""

    state_path: Path
    heartbeat: timedelta
    heard_within: timedelta  # a node that was silent for longer counts as gone
    settle: timedelta  # a node that turned green is watched this long before the next step
    drain: timedelta  # how long a node may take to finish its requests
    step: timedelta  # how long a node may take to do what it is told
    min_green: int

    @classmethod
    def from_settings(cls) -> "NodeLimits":
        """The deployment's."""
        heartbeat_s = settings.NODE_HEARTBEAT_S
        return cls(
            state_path=settings.NODE_STATE_FILE,
            heartbeat=timedelta(seconds=heartbeat_s),
            heard_within=timedelta(seconds=max(5 * heartbeat_s, 10)),
            settle=timedelta(seconds=settings.PROMOTE_SETTLE_S),
            drain=timedelta(seconds=settings.PROMOTE_DRAIN_S),
            step=timedelta(seconds=max(10 * heartbeat_s, 30)),
            min_green=settings.PROMOTE_MIN_GREEN,
        )
