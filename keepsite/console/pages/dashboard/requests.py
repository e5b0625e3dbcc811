from collections.abc import Sequence

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from keepsite.console.pages.dashboard.shapes import Chart, Column, Curve, Line, Part, Trouble
from keepsite.console.pages.dashboard.words import mark
from keepsite.fleet.figures import STEP_MINUTES, FleetFigures, Minute, RequestFigures
from keepsite.fleet.words import latency, percent, rate
from keepsite.readonly import Fact, Tone, link, list_url, missing, moment, text
from keepsite.trail.models import AuditRecord

NAME = "requests"
ENOUGH = 20  # requests, before a share of them says anything
WARN_PERCENT, BAD_PERCENT = 1, 10
COLUMN_WIDTH = 10
STEP_WIDTH = COLUMN_WIDTH * STEP_MINUTES
CURVE_LOW, CURVE_HEIGHT = 98, 96  # of 100: the lines stay within
SHOWN_NODES = 4


def part(fleet: FleetFigures) -> Part:
    """The past hour."""
    figures = fleet.requests
    tones = [trouble.tone for trouble in troubles(fleet)]
    tone = Tone.BAD if Tone.BAD in tones else Tone.WARNING if tones else Tone.GOOD
    return Part(
        name=NAME,
        title=_("Requests of the last hour"),
        state=mark(
            tone if fleet.reporting else Tone.QUIET, good=_("Well") if fleet.reporting else _("No figures")
        ),
        facts=_facts(figures) if fleet.reporting else (),
        chart=_chart(figures) if figures.total else None,
        curve=_curve(figures) if figures.total else None,
        note=_coverage(fleet),
        empty=""
        if fleet.reporting
        else _("No node has reported yet; each does ten seconds after its start."),
        is_wide=True,
    )


def troubles(fleet: FleetFigures) -> list[Trouble]:
    """Requests that fail, and nodes whose requests are not counted any more."""
    figures, found = fleet.requests, []
    if figures.total_now >= ENOUGH:
        share = 100 * figures.failed_now / figures.total_now
        if share >= WARN_PERCENT:
            tone = Tone.BAD if share >= BAD_PERCENT else Tone.WARNING
            words = _("%(share)s %% of the requests of the last five minutes failed.") % {
                "share": f"{share:.3g}"
            }
            found.append(Trouble(tone=tone, sentence=words, part=NAME))
    if fleet.silent:
        names = ", ".join(fleet.silent[:SHOWN_NODES])
        words = ngettext(
            "%(count)s node has stopped reporting: %(names)s.",
            "%(count)s nodes have stopped reporting: %(names)s.",
            len(fleet.silent),
        ) % {"count": intcomma(len(fleet.silent)), "names": names}
        found.append(Trouble(tone=Tone.WARNING, sentence=words, part=NAME))
    return found


def _facts(figures: RequestFigures) -> tuple[Fact, ...]:
    def calls(words: object, **filters: str) -> Fact:
        return Fact(label="", value=link(list_url(AuditRecord, what="calls", when="hour", **filters), words))

    total, failed = figures.total, figures.failed
    return (
        Fact(label=_("Now"), value=rate(figures.per_second)),
        Fact(label=_("In the hour"), value=calls(text(total)).value),
        Fact(
            label=_("Failed (5xx)"),
            value=calls(text(failed), outcome="failed").value,
            note=str(percent(100 * failed / total)) if total else "",
        ),
        Fact(label=_("Refused (4xx)"), value=calls(text(figures.refused), outcome="client").value),
        Fact(label="p50", value=latency(figures.p50_s) if total else missing(_("no requests"))),
        Fact(label="p99", value=latency(figures.p99_s) if total else missing(_("no requests"))),
    )


def _chart(figures: RequestFigures) -> Chart:
    minutes = figures.minutes
    most = max(minute.answered + minute.refused + minute.failed for minute in minutes) or 1
    return Chart(
        columns=tuple(_column(number, minute, most) for number, minute in enumerate(minutes)),
        words=_("Requests per minute; %(most)s in the busiest.") % {"most": text(most)},
        since=moment(minutes[0].at),
        until=moment(minutes[-1].at),
    )


def _column(number: int, minute: Minute, most: int) -> Column:
    return Column(
        x=number * COLUMN_WIDTH,
        answered=round(100 * minute.answered / most, 2),
        refused=round(100 * minute.refused / most, 2),
        failed=round(100 * minute.failed / most, 2),
    )


def _curve(figures: RequestFigures) -> Curve:
    """Half of the requests, and all but one in a hundred, were as quick."""
    p50 = [step.p50_s for step in figures.steps]
    p99 = [step.p99_s for step in figures.steps]
    most = max(seconds for seconds in p99 if seconds is not None)
    return Curve(
        lines=(_line("p50", p50, most), _line("p99", p99, most)),
        words=_("Latency, by five minutes: p50 %(p50)s, p99 %(p99)s.")
        % {"p50": _range(p50), "p99": _range(p99)},
        since=moment(figures.minutes[0].at),
        until=moment(figures.minutes[-1].at),
    )


def _range(values: Sequence[float | None]) -> str:
    known = [seconds for seconds in values if seconds is not None]
    return _("%(least)s to %(most)s") % {"least": latency(min(known)), "most": latency(max(known))}


def _line(name: str, values: Sequence[float | None], most: float) -> Line:
    """A level for each step, from its beginning to its end; a gap where there were no requests."""
    stretches: list[list[str]] = []
    was_known = False
    for number, seconds in enumerate(values):
        if seconds is not None:
            if not was_known:
                stretches.append([])
            y = round(CURVE_LOW - CURVE_HEIGHT * seconds / most, 2)
            left = number * STEP_WIDTH
            stretches[-1] += [f"{left},{y}", f"{left + STEP_WIDTH},{y}"]
        was_known = seconds is not None
    return Line(name=name, stretches=tuple(" ".join(points) for points in stretches))


def _coverage(fleet: FleetFigures) -> str:
    if not fleet.reporting:
        return ""
    names = ", ".join(fleet.reporting[:SHOWN_NODES])
    more = len(fleet.reporting) - SHOWN_NODES
    if more > 0:
        words = ngettext("%(names)s and %(count)s node more", "%(names)s and %(count)s nodes more", more)
        names = words % {"names": names, "count": intcomma(more)}
    sentences = [_("As counted on %(nodes)s, since each node's processes began.") % {"nodes": names}]
    if fleet.silent:
        sentences.append(_("Missing: %(nodes)s.") % {"nodes": ", ".join(fleet.silent[:SHOWN_NODES])})
    sentences.append(_("The lists hold what the audit trail keeps copies of."))
    return " ".join(sentences)
