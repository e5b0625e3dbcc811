from collections.abc import Sequence
from datetime import datetime

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from keepsite.console.pages.dashboard.shapes import Part, Trouble
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
from keepsite.translation import gettext_lazy

NAME = "notices"
HEADINGS = tuple(
    Heading(label=label) for label in (gettext_lazy("Notice"), gettext_lazy("Urgency"), gettext_lazy("Since"))
)
URGENCY = {
    Urgency.NOW: (gettext_lazy("Urgent"), Tone.BAD),
    Urgency.SOON: (gettext_lazy("Soon"), Tone.WARNING),
}


def part(notices: OpenNotices, *, now: datetime) -> Part:
    """The most urgent of those that nobody has acknowledged."""
    tone = URGENCY[Urgency(notices.shown[0].urgency)][1] if notices.shown else Tone.GOOD
    return Part(
        name=NAME,
        title=_("Notices"),
        state=mark(tone, good=_("None")),
        facts=(Fact(label=_("Open"), value=link(_list_url(), text(notices.total))),) if notices.shown else (),
        table=Table(
            caption=_("Notices"),
            headings=HEADINGS,
            rows=tuple(_row(notice, now=now) for notice in notices.shown),
        )
        if notices.shown
        else None,
        empty="" if notices.shown else _("Nothing needs anybody's attention."),
        is_wide=True,
    )


def troubles(notices: OpenNotices, *, beside: Sequence[Trouble]) -> list[Trouble]:
    """How many there are of the most urgent: all is not well while one is open.

    What the first says stands there too, unless something as bad is told ``beside``, mostly the same.
    """
    if not notices.shown:
        return []
    first = notices.shown[0]
    is_urgent = first.urgency == Urgency.NOW
    number, tone = (notices.urgent, Tone.BAD) if is_urgent else (notices.total, Tone.WARNING)
    is_told = any(trouble.tone in {tone, Tone.BAD} for trouble in beside)
    words = {
        (True, True): ngettext("%(count)s urgent notice.", "%(count)s urgent notices.", number),
        (True, False): ngettext(
            "%(count)s urgent notice: %(text)s", "%(count)s urgent notices, the first: %(text)s", number
        ),
        (False, True): ngettext("%(count)s notice.", "%(count)s notices.", number),
        (False, False): ngettext(
            "%(count)s notice: %(text)s", "%(count)s notices, the first: %(text)s", number
        ),
    }[is_urgent, is_told]
    sentence = words % {"count": intcomma(number), "text": first.text}
    return [Trouble(tone=tone, sentence=sentence, part=NAME)]


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
