"""What workers do at intervals for the audit trail."""

import time

import structlog
from django.conf import settings
from django.utils import timezone

from keepsite import schedule
from keepsite.identity.operators import NO_PROJECT
from keepsite.identity.principal import Principal
from keepsite.trail.models import AuditChain
from keepsite.trail.retention import prune
from keepsite.trail.sealing import ChainBrokenError, seal_chain
from keepsite.trail.services import VERIFY_JOB, due_for_verification, go_on, set_backs, tell_of_strays

log = structlog.get_logger(__name__)

VERIFY_EVERY_S = 86_400.0
PRUNE_EVERY_S = 86_400.0
MOST_LINES = 300_000  # of one removal: verified and deleted well within a task's time
SCHEDULER = Principal(project_id=NO_PROJECT, user_id="schedule", roles=frozenset(), method="command")


def register_jobs() -> None:
    """Seal within seconds, verify and prune daily."""
    schedule.register(schedule.Job(name="audit-seal", every_s=settings.AUDIT_SEAL_S, run=seal_chains))
    schedule.register(schedule.Job(name=VERIFY_JOB, every_s=VERIFY_EVERY_S, run=verify_chains))
    schedule.register(schedule.Job(name="audit-prune", every_s=PRUNE_EVERY_S, run=prune_chains))


def seal_chains(deadline: float) -> bool:
    """Seal every chain that has grown; a broken one is left as it is, and does not stop the others.

    Raises:
        Unavailable: no token could serve, or the database is away.
    """
    for chain in AuditChain.objects.order_by("id"):
        if time.monotonic() > deadline:
            return False
        try:
            seal_chain(chain, now=timezone.now())
        except ChainBrokenError as error:
            log.critical("audit.not_sealed", chain=chain.id, node=chain.node, finding=str(error))
    return True


def prune_chains(deadline: float) -> bool:
    """``audit_prune`` until the deadline; a chain that is not whole stays, and does not stop the others.

    Without a retention, what a killed run has begun is brought to its end.

    Raises:
        Unavailable: no token could serve, or the database is away.
    """
    is_done = True
    for chain in AuditChain.objects.order_by("id"):
        try:
            is_done &= prune(
                chain,
                days=settings.AUDIT_RETENTION_DAYS,
                actor=SCHEDULER,
                now=timezone.now(),
                is_enough=lambda: time.monotonic() > deadline,
                most_lines=MOST_LINES,
            )
        except ChainBrokenError as error:
            log.critical("audit.not_pruned", chain=chain.id, node=chain.node, finding=str(error))
    return is_done


def verify_chains(deadline: float) -> bool:
    """Verify what operators want verified and what nobody has verified for a day.

    Raises:
        Unavailable: no token could serve, or the database is away.
    """
    now = timezone.now()
    known = set_backs()
    tell_of_strays()
    return all(
        time.monotonic() < deadline and go_on(chain, deadline=deadline, now=now, known=known)
        for chain in due_for_verification(now)
    )
