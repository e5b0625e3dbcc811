"""Verify chains bit by bit, and keep what was found for the console."""

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

import structlog
from django.db.models import Q
from django.utils import timezone

from keepsite import audit, writes
from keepsite.schedule.services import make_due
from keepsite.trail.models import AuditChain
from keepsite.trail.verifying import Check, Finding, Verdict, set_back, strays, verdict

log = structlog.get_logger(__name__)

VERIFY_JOB = "audit-verify"
AFRESH = timedelta(hours=23)  # a chain verified less long ago is left out of the daily verification
AT_ONCE_S = 5.0  # a chain of some hundred thousand records is verified while the operator waits


def verify_now(
    chain: AuditChain,
    *,
    by: str,
    now: datetime,
    known: Mapping[str, str] | None = None,
    told: Callable[[int], None] = lambda _number: None,
) -> Verdict:
    """Verify the whole chain from its beginning and keep what was found; ``told`` hears of segments checked.

    ``known`` is ``set_backs()``, where several chains are verified.

    Raises:
        Unavailable: no token could serve, or the database is away; nothing was found either way.
    """
    check = Check(chain)
    while check.next_page():
        told(check.segments)
    return _settle(check, by=by, now=now, known=set_backs() if known is None else known)


def set_backs() -> dict[str, str]:
    """What the checkpoints of other chains say against a chain, by its id.

    Raises:
        Unavailable: no token could serve.
    """
    return dict(set_back())


def want_verification(chains: Iterable[AuditChain], *, actor: audit.Actor, reason: str) -> tuple[int, int]:
    """Verify these chains, now as far as a few seconds go, then by a worker; how many are through, and not.

    Raises:
        NotAllowed: ``actor`` is no operator.
        Unavailable: no token could serve, or the database is away.
    """
    audit.require_operator(actor)
    ends_at = time.monotonic() + AT_ONCE_S
    done = waiting = 0
    known = set_backs()
    for chain in chains:
        rows = AuditChain.objects.filter(id=chain.id)
        begun = {"pass_wanted_by": actor.user_id or "", "pass_number": 0, "pass_records": 0}
        writes.commit(lambda: rows.update(**begun, pass_findings=[]), committed=lambda: False)  # noqa: B023  # run at once
        chain.refresh_from_db()
        is_done = go_on(chain, deadline=ends_at, now=timezone.now(), known=known)
        done, waiting = done + is_done, waiting + (not is_done)
        audit.record("audit_chain.verified", actor=actor, subject=chain, reason=reason)
    if waiting:
        make_due(VERIFY_JOB)
    return done, waiting


def go_on(chain: AuditChain, *, deadline: float, now: datetime, known: Mapping[str, str]) -> bool:
    """Verify the chain from where its pass stands, until the monotonic ``deadline``; whether it is through.

    Raises:
        Unavailable: no token could serve, or the database is away.
    """
    at = chain.segments.filter(number=chain.pass_number).values_list("digest", flat=True).first()
    check = Check(chain, after=chain.pass_number, digest=at)
    check.records = chain.pass_records
    check.findings = [Finding(**found) for found in chain.pass_findings]
    while check.next_page():
        if time.monotonic() > deadline:
            _keep(
                chain,
                pass_number=check.number,
                pass_records=check.records,
                pass_findings=[finding.written() for finding in check.findings],
            )
            return False
    _settle(check, by=chain.pass_wanted_by or "schedule", now=now, known=known)
    return True


def due_for_verification(now: datetime) -> list[AuditChain]:
    """Chains that an operator wants verified, or that nobody has for a day; those first."""
    is_under_way = ~Q(pass_wanted_by="") | Q(pass_number__gt=0)
    is_long_ago = Q(verified_at=None) | Q(verified_at__lt=now - AFRESH)
    return list(AuditChain.objects.filter(is_under_way | is_long_ago).order_by("-pass_wanted_by", "began_at"))


def tell_of_strays() -> list[str]:
    """What belongs to no chain, and chains that are gone; each is logged as critical.

    Raises:
        Unavailable: no token could serve.
    """
    chains = set(AuditChain.objects.values_list("id", flat=True))
    gone = [
        f"Chain {chain_id} was deleted. {words}" for chain_id, words in set_back() if chain_id not in chains
    ]
    found = [*strays(), *gone]
    for words in found:
        log.critical("audit.not_whole", finding=words)
    return found


def _settle(check: Check, *, by: str, now: datetime, known: Mapping[str, str]) -> Verdict:
    chain = check.chain
    if chain.id in known:
        check.findings.append(Finding(number=check.number + 1, words=known[chain.id]))
    found = verdict(check, now=now)
    if not found.is_whole:
        log.critical(
            "audit.not_whole",
            chain=chain.id,
            node=chain.node,
            findings=len(found.findings),
            finding=found.findings[0].words,
        )
    _keep(
        chain,
        verified_at=now,
        verified_by=by,
        whole_since=found.whole_since,
        segments_verified=found.segments,
        records_verified=found.records,
        findings=[finding.written() for finding in found.findings],
        pass_wanted_by="",
        pass_number=0,
        pass_records=0,
        pass_findings=[],
    )
    return found


def _keep(chain: AuditChain, **columns: object) -> None:
    rows = AuditChain.objects.filter(id=chain.id)
    writes.commit(lambda: rows.update(**columns), committed=lambda: False)  # the same values again do no harm
    for name, value in columns.items():
        setattr(chain, name, value)
