from collections.abc import Mapping
from datetime import datetime, timedelta

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from keepsite.console.pages.dashboard.counting import Stock
from keepsite.console.pages.dashboard.shapes import Part, Trouble
from keepsite.console.pages.dashboard.words import many, mark
from keepsite.keyring.console.words import lasting
from keepsite.readonly import Fact, Tone, link, list_url, missing, text
from orders_app.figures import WaitingFigures
from orders_app.models import DeadLetter, Order

NAME = "orders"
STALLED = timedelta(minutes=2)  # an order is handed out anew after 15 s and leased for 60 s


def part(stock: Stock, waiting: WaitingFigures, queues: Mapping[str, int], *, now: datetime) -> Part:
    """What waits, since when, and what went wrong."""
    tones = [trouble.tone for trouble in troubles(stock, waiting, now=now)]
    tone = Tone.BAD if Tone.BAD in tones else Tone.WARNING if tones else Tone.GOOD
    return Part(
        name=NAME,
        title=_("Orders and queue"),
        state=mark(tone),
        facts=(
            _of(_("Pending"), waiting.waiting, "waiting"),
            Fact(
                label=_("Oldest"),
                value=link(list_url(Order, state="waiting"), lasting(waiting.oldest_s))
                if waiting.waiting
                else missing(_("none waits")),
            ),
            _of(_("At work"), waiting.at_work, "at_work"),
            _of(_("Tried again"), waiting.retried, "retried"),
            _of(
                _("Failed"),
                stock.failed,
                "failed",
                note=link(
                    list_url(Order, state="failed_lately"),
                    _("%(count)s in 24 hours") % {"count": text(stock.failed_lately)},
                ),
            ),
            Fact(
                label=_("Dead letters"),
                value=link(list_url(DeadLetter, state=DeadLetter.State.KEPT), text(waiting.dead_letters)),
            ),
            *(
                Fact(
                    label=_("Messages in %(queue)s") % {"queue": queue},
                    value=link(list_url(Order, state="waiting"), text(depth)),
                )
                for queue, depth in sorted(queues.items())
            ),
            *(() if queues else (Fact(label=_("Messages"), value=missing(_("no relay tells"))),)),
        ),
    )


def troubles(stock: Stock, waiting: WaitingFigures, *, now: datetime) -> list[Trouble]:
    """Orders that are stuck, failed or lost."""
    found = []
    if waiting.oldest_s > STALLED.total_seconds():
        age = timesince(now - timedelta(seconds=waiting.oldest_s), now, depth=1)
        sentence = ngettext(
            "%(count)s order waits, the oldest for %(age)s: check the workers, the relay and the HSM.",
            "%(count)s orders wait, the oldest for %(age)s: check the workers, the relay and the HSM.",
            waiting.waiting,
        ) % {"count": intcomma(waiting.waiting), "age": age}
        found.append(Trouble(tone=Tone.BAD, sentence=sentence, part=NAME))
    if stock.failed_lately:
        sentence = many(
            stock.failed_lately,
            ngettext(
                "%(count)s order failed in the last 24 hours.",
                "%(count)s orders failed in the last 24 hours.",
                stock.failed_lately,
            ),
        )
        found.append(Trouble(tone=Tone.WARNING, sentence=sentence, part=NAME))
    if waiting.dead_letters:
        words = many(
            waiting.dead_letters,
            ngettext(
                "%(count)s dead letter waits for a decision.",
                "%(count)s dead letters wait for a decision.",
                waiting.dead_letters,
            ),
        )
        found.append(Trouble(tone=Tone.WARNING, sentence=words, part=NAME))
    return found


def _of(label: str, number: int, state: str, note: str = "") -> Fact:
    return Fact(label=label, value=link(list_url(Order, state=state), text(number)), note=note)
