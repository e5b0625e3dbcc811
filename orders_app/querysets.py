from datetime import datetime
from typing import Any, Self

from django.db.models import Q, QuerySet

PENDING = "PENDING"


class OrderQuerySet(QuerySet[Any]):  # Any: Order, which imports this module
    """Questions about orders."""

    def live(self) -> Self:
        """Not deleted."""
        return self.filter(deleted_at=None)

    def in_project(self, external_project_id: str) -> Self:
        """Placed by this project."""
        return self.filter(project__external_id=external_project_id)

    def unclaimed(self, now: datetime) -> Self:
        """Waiting, and held by no worker at ``now``."""
        return self.live().filter(Q(lease_until=None) | Q(lease_until__lt=now), status=PENDING)

    def due(self, now: datetime, *, handed_out_before: datetime) -> Self:
        """To be handed to a worker now, for the first time or because nothing came of the last."""
        never_or_long_ago = Q(handed_out_at=None) | Q(handed_out_at__lt=handed_out_before)
        return self.unclaimed(now).filter(never_or_long_ago, not_before__lte=now)
