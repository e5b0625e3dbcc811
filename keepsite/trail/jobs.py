"""What workers do at intervals for the audit trail."""

import time
from collections.abc import Callable
from datetime import timedelta

import structlog
from django.conf import settings
from django.utils import timezone

from keepsite import schedule
from keepsite.identity.operators import SCHEDULER
from keepsite.trail.models import AuditChain
from keepsite.trail.removals import unfinished
from keepsite.trail.retention import prune
from keepsite.trail.sealing import ChainBrokenError, seal_chain
from keepsite.trail.services import VERIFY_JOB, due_for_verification, go_on, set_backs, tell_of_strays

log = structlog.get_logger(__name__)

VERIFY_EVERY_S = 86_400.0
PRUNE_EVERY_S = 86_400.0
FINISH_EVERY_S = 600.0  # so that what was left is gone before REMOVED_WITHIN
LEFT_BEHIND = timedelta(minutes=15)  # a removal that takes longer may be taken up by a second run meanwhile
MOST_LINES = 300_000  # of one removal: verified and deleted well within a task's time


def register_jobs() -> None:
    """Seal within seconds, verify and prune daily, finish within the hour what a killed run has left."""
    schedule.register(schedule.Job(name="audit-seal", every_s=settings.AUDIT_SEAL_S, run=seal_chains))
    schedule.register(schedule.Job(name=VERIFY_JOB, every_s=VERIFY_EVERY_S, run=verify_chains))
    schedule.register(schedule.Job(name="audit-prune", every_s=PRUNE_EVERY_S, run=prune_chains))
    schedule.register(schedule.Job(name="audit-prune-rest", every_s=FINISH_EVERY_S, run=finish_removals))


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

    Nor does one whose next step takes longer to verify than a run lasts: it is left to the
    command.  Without a retention, what a killed run has begun is brought to its end.

    Raises:
        Unavailable: no token could serve, or the database is away.
    """
    began_at = time.monotonic()
    is_done = True
    removed: list[int] = []
    # in another order each time, or one that takes all the time would be first for good
    for chain in AuditChain.objects.order_by("?"):
        asked_at = time.monotonic()
        if asked_at > deadline:
            return False
        had_most_of_it = asked_at - began_at < deadline - asked_at
        if _prune(chain, days=settings.AUDIT_RETENTION_DAYS, deadline=deadline, told=removed.append):
            continue
        if removed or not had_most_of_it or time.monotonic() <= deadline:
            is_done = False
        else:
            log.warning("audit.removal_left_to_command", chain=chain.id, node=chain.node)
    return is_done


def finish_removals(deadline: float) -> bool:
    """Bring to its end what a killed run has left of a removal, before it counts as not removed after all.

    Raises:
        Unavailable: no token could serve, or the database is away.
    """
    chains = unfinished(before=timezone.now() - LEFT_BEHIND).order_by("id")
    return all(time.monotonic() < deadline and _prune(chain, days=0, deadline=deadline) for chain in chains)


def _prune(
    chain: AuditChain, *, days: int, deadline: float, told: Callable[[int], None] = lambda _segments: None
) -> bool:
    """Whether that is done; a chain that is not whole is told of, and done with."""
    try:
        return prune(
            chain,
            days=days,
            actor=SCHEDULER,
            is_enough=lambda: time.monotonic() > deadline,
            most_lines=MOST_LINES,
            told=told,
        )
    except ChainBrokenError as error:
        log.critical("audit.not_pruned", chain=chain.id, node=chain.node, finding=str(error))
        return True


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
