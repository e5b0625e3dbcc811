"""Asking for an act, and deciding on what others asked for."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from keepsite import audit, writes
from keepsite.approvals.models import ActRequest
from keepsite.errors import Conflict, InvalidInput, NotAllowed

# A colour set by hand does what a promotion does, less carefully: it is no way round the rule for that.
GUARDED_WITH = {"node.colour": "promotion.start"}
TOLD_FOR = timedelta(hours=24)  # of what became of a request, to whoever asked


def is_guarded(act: str) -> bool:
    """Whether KEEPSITE_TWO_PERSON_ACTS names "secret.purge", or what this act could stand in for."""
    return act in settings.TWO_PERSON_ACTS or GUARDED_WITH.get(act) in settings.TWO_PERSON_ACTS


def needs_approval(noun: str, act: str) -> bool:
    """Whether an act of the console needs two persons; the rule names its noun without the app."""
    return is_guarded(f"{noun.rpartition('.')[2]}.{act}")


def is_waiting(now: datetime) -> Q:
    """Which requests may still be decided at ``now``."""
    return Q(state=ActRequest.State.WAITING, expires_at__gt=now)


def is_settled_lately(now: datetime) -> Q:
    """Which requests others decided, or nobody did in time, so lately that whoever asked is to be told."""
    since = now - TOLD_FOR
    by_others = Q(decided_at__gte=since) & ~Q(decided_by=F("requested_by"))
    by_nobody = Q(state=ActRequest.State.WAITING, expires_at__gt=since, expires_at__lte=now)
    asked_since = since - timedelta(hours=settings.APPROVAL_H)  # an index bounds what is looked through
    return Q(requested_at__gte=asked_since) & (by_others | by_nobody)


def was_emergency() -> Q:
    """What was done without the second person whom the rule demands."""
    return Q(state=ActRequest.State.DONE, decided_by="")


def ask(  # noqa: PLR0913  # what a second person must know to decide
    *,
    noun: str,
    act: str,
    title: str,
    row_ids: Sequence[str],
    form: Mapping[str, Sequence[str]],
    reason: str,
    actor: audit.Actor,
    now: datetime | None = None,
) -> ActRequest:
    """Put an act before a second person, for KEEPSITE_APPROVAL_H hours; durable on return.

    Raises:
        NotAllowed: ``actor`` is no operator.
        InvalidInput: there is no reason.
        Conflict: the very same act waits already.
    """
    audit.require_operator(actor)
    if not reason:
        raise InvalidInput(_("Give a reason."))
    now = now or timezone.now()
    same = ActRequest.objects.filter(is_waiting(now), noun=noun, act=act)
    if any(request.row_ids == list(row_ids) for request in same):
        raise Conflict(_("This waits for approval already."))
    request = ActRequest(
        noun=noun,
        act=act,
        title=title[:255],
        row_ids=list(row_ids),
        form={name: list(values) for name, values in form.items()},
        reason=reason,
        requested_by=actor.user_id or "",
        requested_at=now,
        expires_at=now + timedelta(hours=settings.APPROVAL_H),
    )
    writes.commit(
        lambda: request.save(force_insert=True), committed=ActRequest.objects.filter(pk=request.pk).exists
    )
    audit.record(
        "act.requested",
        actor=actor,
        subject=request,
        reason=reason,
        change=audit.Change(
            after={
                "act": f"{noun}.{act}",
                "title": request.title,
                "rows": request.row_ids,
                "expires_at": request.expires_at,
            }
        ),
    )
    return request


def approve(request: ActRequest, *, actor: audit.Actor, reason: str, now: datetime | None = None) -> None:
    """Take the request, so that the caller, and nobody else ever, carries it out; durable on return.

    That ``actor`` has the act's permission is checked by the caller, who knows the act.

    Raises:
        NotAllowed: ``actor`` is no operator, or the one who asked.
        Conflict: it is decided, or has expired.
    """
    if actor.user_id == request.requested_by:
        raise NotAllowed(_("You asked for this yourself: somebody else must approve it."))
    _decide(request, ActRequest.State.APPROVED, actor=actor, reason=reason, now=now)


def refuse(request: ActRequest, *, actor: audit.Actor, reason: str, now: datetime | None = None) -> None:
    """End the request without the act; who asked withdraws it so.  Durable on return.

    Raises:
        NotAllowed: ``actor`` is no operator.
        Conflict: it is decided, or has expired.
    """
    _decide(request, ActRequest.State.REFUSED, actor=actor, reason=reason, now=now)


def finish(request: ActRequest, *, is_done: bool, outcome: str, actor: audit.Actor) -> None:
    """Note what came of an approved act; durable on return."""
    state = ActRequest.State.DONE if is_done else ActRequest.State.FAILED
    own = ActRequest.objects.filter(pk=request.pk)
    writes.commit(
        lambda: own.filter(state=ActRequest.State.APPROVED).update(state=state, outcome=outcome),
        committed=own.filter(state=state).exists,
    )
    audit.record(
        "act.carried_out" if is_done else "act.failed",
        actor=actor,
        subject=request,
        change=audit.Change(
            before={"state": ActRequest.State.APPROVED.value},
            after={"state": state.value, "outcome": outcome},
        ),
    )


def waiting(now: datetime) -> QuerySet[ActRequest]:
    """What may still be decided at ``now``."""
    return ActRequest.objects.filter(is_waiting(now))


def _decide(
    request: ActRequest,
    state: ActRequest.State,
    *,
    actor: audit.Actor,
    reason: str,
    now: datetime | None,
) -> None:
    audit.require_operator(actor)
    if not reason:
        raise InvalidInput(_("Give a reason."))
    now = now or timezone.now()
    own = ActRequest.objects.filter(pk=request.pk)
    decided = {
        "state": state,
        "decided_by": actor.user_id or "",
        "decided_at": now,
        "decision_reason": reason,
    }

    def write() -> None:
        if not own.filter(is_waiting(now)).update(**decided):
            raise Conflict(_("This is decided already, or has expired."))

    writes.commit(write, committed=own.filter(**decided).exists)
    audit.record(
        f"act.{state.value}",
        actor=actor,
        subject=request,
        reason=reason,
        change=audit.Change(
            before={"state": ActRequest.State.WAITING.value, "requested_by": request.requested_by},
            after={"state": state.value, "decided_by": actor.user_id or ""},
        ),
    )
