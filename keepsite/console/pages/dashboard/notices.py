from datetime import datetime

from keepsite.console.pages.dashboard.shapes import Part
from keepsite.console.pages.dashboard.words import mark
from keepsite.notices.models import Notice, Urgency
from keepsite.notices.services import OpenNotices
from keepsite.readonly import (
    Fact,
    Heading,
    Row,
    Table,
    Tone,
    detail_url,
    link,
    list_url,
    pill,
    relative,
    text,
)

HEADINGS = tuple(Heading(label=label) for label in ("Notice", "Urgency", "Since"))
URGENCY = {Urgency.NOW: ("Urgent", Tone.BAD), Urgency.SOON: ("Soon", Tone.WARNING)}


def part(notices: OpenNotices, *, now: datetime) -> Part:
    """The most urgent of those that nobody has acknowledged."""
    tone = URGENCY[Urgency(notices.shown[0].urgency)][1] if notices.shown else Tone.GOOD
    return Part(
        name="notices",
        title="Notices",
        state=mark(tone, good="None"),
        facts=(Fact(label="Open", value=link(_list_url(), text(notices.total))),) if notices.shown else (),
        table=Table(
            caption="Notices",
            headings=HEADINGS,
            rows=tuple(_row(notice, now=now) for notice in notices.shown),
        )
        if notices.shown
        else None,
        empty="" if notices.shown else "Nothing needs anybody's attention.",
        is_wide=True,
    )


def _row(notice: Notice, *, now: datetime) -> Row:
    return Row.of(
        HEADINGS,
        detail_url(Notice, notice.pk),
        notice.text,
        pill(*URGENCY[Urgency(notice.urgency)]),
        relative(notice.raised_at, now=now),
    )


def _list_url() -> str:
    return list_url(Notice, state="open")
