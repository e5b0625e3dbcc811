"""What operators want of the HSM's members."""

from datetime import datetime

from django.utils.translation import gettext as _

from hsm.member import State
from keepsite import audit, writes
from keepsite.errors import Conflict, NotFound
from keepsite.fleet.figures import fleet_figures
from keepsite.fleet.models import HSMMember


def release_member(
    name: str, *, pin_corrected: bool, actor: audit.Actor, reason: str, now: datetime
) -> HSMMember:
    """Ask every process that has the member in quarantine to look at it again; each does within seconds.

    A process whose PIN the token refused reads it anew and tries it only if ``pin_corrected``, an
    operator's word; one process does, and the others once it was accepted.

    Raises:
        NotFound: no such member.
        Conflict: no process that reports has it in quarantine.
        NotAllowed: ``actor`` is no operator.
    """
    audit.require_operator(actor)
    rows = HSMMember.objects.filter(name=name)
    member = rows.first()
    if member is None:
        raise NotFound(_("No node has told of an HSM member %(name)s.") % {"name": f"{name!r}"})
    if not is_quarantined(name, now=now):
        raise Conflict(_("No process has %(name)s in quarantine.") % {"name": name})
    writes.commit(
        lambda: rows.update(
            wanted_at=now,
            wanted_by=actor.user_id or "",
            wanted_because=reason[:255],
            pin_corrected=pin_corrected,
            tried_by="",
            pin_outcome=HSMMember.Outcome.NONE,
        ),
        committed=rows.filter(wanted_at=now).exists,
    )
    words = f"The PIN was corrected. {reason}" if pin_corrected else reason
    change = audit.Change(
        before={"wanted_at": member.wanted_at, "pin_corrected": member.pin_corrected},
        after={"wanted_at": now, "pin_corrected": pin_corrected},
    )
    audit.record("hsm_member.released", actor=actor, subject=member, reason=words, change=change)
    member.refresh_from_db()
    return member


def is_quarantined(name: str, *, now: datetime) -> bool:
    """Whether a process of a node that reports has it in quarantine."""
    members = fleet_figures(now).members
    return any(member.name == name and member.states.get(State.QUARANTINED) for member in members)
