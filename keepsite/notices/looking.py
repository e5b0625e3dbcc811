"""Asks every source for causes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

import structlog

from hsm.errors import HSMError
from keepsite.errors import KeepsiteError
from keepsite.notices.causes import expiry, people, quotas, site
from keepsite.notices.causes.words import Cause

log = structlog.get_logger(__name__)

# Which kind of notice each source may give cause for.
SOURCES: dict[str, Callable[[datetime], Iterable[Cause]]] = {
    "secrets-expire": expiry.secrets_that_expire,
    "api-key-expires": expiry.api_keys_that_expire,
    "mkek-due": expiry.mkek_due,
    "pkeks-due": expiry.pkeks_due,
    "quota-near": quotas.quotas_near,
    "orders-stuck": site.orders_stuck,
    "dead-letters": site.dead_letters,
    "retirements-stopped": site.retirements_stopped,
    "hsm-member-down": site.hsm_members_down,
    "node-lost": site.nodes_lost,
    "promotion-stopped": site.promotions_stopped,
    "audit-not-whole": people.audit_not_whole,
    "approval-waiting": people.approvals_waiting,
    "emergency": people.emergencies,
    "messages-given-up": people.messages_given_up,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Every cause there is now, by its key, and the kinds that could not be looked for."""

    causes: dict[str, Cause]
    away: frozenset[str]


def look(now: datetime) -> Found:
    """Ask every source; one that is away is logged, and its open notices stay as they are.

    Raises:
        DatabaseError: the database is away.
    """
    causes: dict[str, Cause] = {}
    away = set()
    for kind, source in SOURCES.items():
        try:
            causes |= {cause.key: cause for cause in source(now)}
        except (KeepsiteError, HSMError) as error:
            log.warning("notices.source_away", kind=kind, error=type(error).__name__)
            away.add(kind)
    return Found(causes=causes, away=frozenset(away))
