from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from django.conf import settings
from django.db import IntegrityError

from keepsite import audit, writes
from keepsite.idempotency.digests import digest
from keepsite.idempotency.errors import KeyReused, TwinInProgress
from keepsite.idempotency.models import AcceptedRequest
from keepsite.prepared import Prepared


def kept() -> timedelta:
    """How long an accepted request is remembered; zero where keys are not looked at."""
    return timedelta(hours=settings.IDEMPOTENCY_H)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedRequest:
    """A request that its client may repeat under the same key."""

    key_digest: str
    request_digest: str
    received_at: datetime

    @classmethod
    def of(
        cls,
        key: str,
        *,
        caller: audit.Actor,
        kind: str,
        body: dict[str, Any],  # Any: JSON values
        now: datetime,
    ) -> Self:
        """What ``caller`` asks for under ``key``: to make an object of ``kind`` from ``body``.

        A key is one user's in one project, whatever credential they show, so that nobody meets
        another's keys, and a renewed token is no obstacle.
        """
        whose = (caller.project_id, caller.user_id, key)
        return cls(
            key_digest=digest("key", *whose),
            request_digest=digest("request", *whose, kind, body),
            received_at=now,
        )

    def made(self) -> str | None:
        """The id of what this very request made before, also if it was deleted since; None if it is new.

        One SQL statement, unless the key was used too long ago to count.

        Raises:
            KeyReused: another request came with this key.
        """
        row = _BY_KEY.first(key_digest=self.key_digest)
        if row is None:
            return None
        if row.accepted_at <= self.received_at - kept():
            self._forget()
            return None
        if row.request_digest != self.request_digest:
            raise KeyReused
        return str(row.object_id)

    def remember(self, object_id: str) -> None:
        """Note, in the caller's transaction, what this request makes.

        To be called before the transaction writes anything else: of several twins at once one goes
        on from here, the others wait until it has committed.

        Raises:
            TwinInProgress: another request with this key has committed; ``made`` now knows what it made.
        """
        row = AcceptedRequest(
            key_digest=self.key_digest,
            request_digest=self.request_digest,
            object_id=object_id,
            accepted_at=self.received_at,
        )
        try:
            row.save(force_insert=True)
        except IntegrityError as error:
            raise TwinInProgress from error

    def _forget(self) -> None:
        """Free the key; a twin may have done so, and used it, in the meantime."""
        old = AcceptedRequest.objects.filter(
            key_digest=self.key_digest, accepted_at__lte=self.received_at - kept()
        )
        writes.commit(old.delete, committed=lambda: not old.exists())


_BY_KEY = Prepared(
    lambda key_digest: AcceptedRequest.objects.filter(key_digest=key_digest), texts=("key_digest",)
)
