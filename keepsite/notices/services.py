"""What the console and commands ask of notices."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q, Window
from django.utils import timezone

from keepsite import audit, writes
from keepsite.errors import Conflict, InvalidInput, NotFound
from keepsite.ids import new_id
from keepsite.notices.events import Happening, event
from keepsite.notices.finding import channels
from keepsite.notices.models import OPEN, Message, Notice, Urgency
from keepsite.notices.sending import send


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenNotices:
    """The most urgent open notices, how many there are in all, and how many of them are urgent."""

    shown: tuple[Notice, ...]
    total: int
    urgent: int


def open_notices(*, limit: int = 5) -> OpenNotices:
    """Up to ``limit`` of those that are open and not acknowledged, by urgency and age; one SQL statement."""
    rows = Notice.objects.filter(OPEN, acknowledged_by="").annotate(
        total=Window(Count("pk")), urgent=Window(Count("pk", filter=Q(urgency=Urgency.NOW)))
    )
    shown = tuple(rows.order_by("urgency", "raised_at", "id")[:limit])
    return OpenNotices(
        shown=shown, total=shown[0].total if shown else 0, urgent=shown[0].urgent if shown else 0
    )


def acknowledge(notice: Notice, *, actor: audit.Actor, reason: str, now: datetime | None = None) -> None:
    """Note that somebody looks after it: it is not repeated any more, and is resolved when its cause is gone.

    Raises:
        NotAllowed: ``actor`` is no operator.
        InvalidInput: there is no reason.
        Conflict: it is resolved, or acknowledged already.
    """
    audit.require_operator(actor)
    if not reason:
        raise InvalidInput("Give a reason.")
    own = Notice.objects.filter(pk=notice.pk)
    columns = {
        "acknowledged_by": actor.user_id or "",
        "acknowledged_at": now or timezone.now(),
        "acknowledgement_reason": reason[:255],
    }

    def store() -> None:
        if not own.filter(OPEN, acknowledged_by="").update(**columns):
            raise Conflict("This notice is resolved, or somebody has acknowledged it already.")

    writes.commit(store, committed=own.filter(**columns).exists)
    audit.record(
        "notice.acknowledged",
        actor=actor,
        subject=notice,
        reason=reason,
        change=audit.Change(
            before={"acknowledged_by": None},
            after={"acknowledged_by": columns["acknowledged_by"], "text": notice.text},
        ),
    )
    notice.refresh_from_db()


def find(notice_id: str) -> Notice:
    """The notice of that id.

    Raises:
        NotFound: there is none.
    """
    notice = Notice.objects.filter(pk=notice_id).first()
    if notice is None:
        raise NotFound(f"There is no notice {notice_id}.")
    return notice


def send_test(channel: Message.Channel) -> str:
    """Send a made-up notice through ``channel`` now, and nothing else; its message's id.

    Raises:
        NotSent: it did not arrive.
        Conflict: the channel is not set up.
    """
    if channel not in channels():
        raise Conflict(f"No {channel.label} is set up; docs/operators/notices.md says how.")
    notice = Notice(id=new_id(), kind="test", urgency=Urgency.SOON, text="A test: notices arrive here.")
    message = Message(id=new_id(), channel=channel, events=[event(Happening.TEST, notice)])
    send(message)
    return str(message.pk)
