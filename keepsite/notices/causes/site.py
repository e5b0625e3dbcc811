"""Orders, HSM members, nodes: what runs, and does not."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.models import Count, Min

from keepsite.fleet.figures import fleet_figures
from keepsite.fleet.models import HSMMember
from keepsite.fleet.words import seen_by
from keepsite.nodes.models import Node, Promotion
from keepsite.notices.causes.words import Cause, many
from keepsite.notices.models import TEXT_CHARS, Urgency
from keepsite.readonly import detail_url, list_url
from keepsite.trail.models import AuditRecord
from orders_app.models import DeadLetter, Order, RetirementAlarm

STUCK = timedelta(minutes=2)  # an order is handed out anew after 15 s and leased for 60 s


def orders_stuck(now: datetime) -> Iterator[Cause]:
    """One for all orders, when the oldest has waited for more than two minutes."""
    waiting = Order.objects.filter(status=Order.Status.PENDING, deleted_at=None).aggregate(
        count=Count("id"), oldest=Min("created_at")
    )
    if waiting["oldest"] and now - waiting["oldest"] > STUCK:
        yield Cause(
            kind="orders-stuck",
            about="",
            urgency=Urgency.NOW,
            text=(
                f"{many(waiting['count'], 'order waits', 'orders wait')}, the oldest since"
                f" {waiting['oldest']:%Y-%m-%d %H:%M} UTC: look at workers, relay and HSM."
            ),
            path=list_url(Order, state="waiting"),
        )


def dead_letters(now: datetime) -> Iterator[Cause]:  # noqa: ARG001  # a row stays until somebody decides
    """One for all messages that no worker could take."""
    count = DeadLetter.objects.filter(state=DeadLetter.State.KEPT).count()
    if count:
        yield Cause(
            kind="dead-letters",
            about="",
            urgency=Urgency.SOON,
            text=f"No worker could take {many(count, 'message', 'messages')}: decide what becomes of them.",
            path=list_url(DeadLetter, state=DeadLetter.State.KEPT.value),
        )


def retirements_stopped(now: datetime) -> Iterator[Cause]:  # noqa: ARG001  # an alarm stands until it is cleared
    """One while Keystone has announced more deleted projects than is usual, and no operator has looked."""
    alarm = RetirementAlarm.objects.filter(cleared_at=None).order_by("raised_at").first()
    if alarm is not None:
        yield Cause(
            kind="retirements-stopped",
            about="",
            urgency=Urgency.NOW,
            text=(
                f"Keystone deletes more projects than is usual, and no more are retired since"
                f" {alarm.raised_at:%Y-%m-%d %H:%M} UTC: {alarm.detail}"
            )[:TEXT_CHARS],
            path=list_url(AuditRecord, q="project.retired"),
        )


def hsm_members_down(now: datetime) -> Iterator[Cause]:
    """One of each HSM member that some process which tells of it cannot use."""
    for member in fleet_figures(now).members:
        if member.is_out:
            yield Cause(
                kind="hsm-member-down",
                about=member.name,
                urgency=Urgency.NOW,
                text=f"The HSM member {member.name} is {member.worst} for {seen_by(member, member.worst)}.",
                path=detail_url(HSMMember, member.name),
            )


def nodes_lost(now: datetime) -> Iterator[Cause]:  # noqa: ARG001  # a job has marked them
    """One of each node without a heartbeat for two minutes."""
    for name, since in Node.objects.filter(lost_at__isnull=False).values_list("name", "heartbeat_at"):
        yield Cause(
            kind="node-lost",
            about=name,
            urgency=Urgency.NOW,
            text=f"The node {name} has sent no heartbeat since {since:%Y-%m-%d %H:%M} UTC.",
            path=detail_url(Node, name),
        )


def promotions_stopped(now: datetime) -> Iterator[Cause]:  # noqa: ARG001  # by its state
    """The open promotion, if it has stopped."""
    for promotion in Promotion.objects.filter(state=Promotion.State.STOPPED):
        yield Cause(
            kind="promotion-stopped",
            about=promotion.pk,
            urgency=Urgency.NOW,
            text=f"A promotion has stopped: {promotion.problem}",
            path=detail_url(Promotion, promotion.pk),
        )
