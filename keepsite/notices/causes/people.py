"""What people must look into or decide: the audit trail, approvals, messages that did not arrive."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from keepsite.approvals.models import ActRequest
from keepsite.approvals.services import waiting, was_emergency
from keepsite.notices.causes.words import Cause, many
from keepsite.notices.models import Message, Urgency
from keepsite.readonly import detail_url, list_url
from keepsite.trail.models import AuditChain

EMERGENCY_SHOWN = timedelta(days=7)
GIVEN_UP_SHOWN = timedelta(days=7)


def audit_not_whole(now: datetime) -> Iterator[Cause]:  # noqa: ARG001  # as the last verification found
    """One of each audit chain that a verification found not to be whole."""
    for chain in AuditChain.objects.exclude(findings=[]):
        yield Cause(
            kind="audit-not-whole",
            about=chain.pk,
            urgency=Urgency.NOW,
            text=f"The audit trail of {chain.node} is not whole.",
            path=detail_url(AuditChain, chain.pk),
        )


def approvals_waiting(now: datetime) -> Iterator[Cause]:
    """One of each act that waits for a second person."""
    for request in waiting(now):
        yield Cause(
            kind="approval-waiting",
            about=request.pk,
            urgency=Urgency.SOON,
            text=(
                f"{request.requested_by} asks for approval until {request.expires_at:%Y-%m-%d %H:%M} UTC:"
                f" {request.title}"
            ),
            path=detail_url(ActRequest, request.pk),
        )


def emergencies(now: datetime) -> Iterator[Cause]:
    """One of each act of the past week that was done without the second person whom it needs."""
    lately = ActRequest.objects.filter(was_emergency(), requested_at__gte=now - EMERGENCY_SHOWN)
    for request in lately:
        yield Cause(
            kind="emergency",
            about=request.pk,
            urgency=Urgency.NOW,
            text=f"{request.requested_by} did this without a second person: {request.title}",
            path=detail_url(ActRequest, request.pk),
        )


def messages_given_up(now: datetime) -> Iterator[Cause]:
    """One of each channel through which a message of the past week did not arrive."""
    given_up = Message.objects.filter(
        state=Message.State.GIVEN_UP, ended_at__gte=now - GIVEN_UP_SHOWN
    ).values_list("channel", flat=True)
    counts: dict[str, int] = {}
    for channel in given_up:
        counts[channel] = counts.get(channel, 0) + 1
    for channel, count in counts.items():
        name = Message.Channel(channel).label
        yield Cause(
            kind="messages-given-up",
            about=channel,
            urgency=Urgency.SOON,
            text=f"{many(count, 'message', 'messages')} did not arrive by {name}: see Messages.",
            path=list_url(Message, state="given_up"),
        )
