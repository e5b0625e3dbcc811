from collections import Counter
from datetime import datetime

from django.conf import settings
from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from keepsite.console.pages.dashboard.counting import Generation, Stock
from keepsite.console.pages.dashboard.shapes import Part, RunLine, Trouble
from keepsite.console.pages.dashboard.words import many, mark
from keepsite.keyring.console.live import live_run
from keepsite.keyring.console.words import RUN_KINDS, lasting, mkek_pill
from keepsite.keyring.models import MKEK, KEKRun, ProjectKEK
from keepsite.keyring.rotation import runs
from keepsite.keyring.rotation.mkek_age import is_due
from keepsite.readonly import (
    Bar,
    Fact,
    Heading,
    Row,
    Table,
    Tone,
    breakable,
    code,
    detail_url,
    link,
    list_url,
    missing,
    text,
)
from keepsite.translation import gettext_lazy
from secrets_app.models import Secret

NAME, RUNS_NAME = "keys", "rotation"
SHOWN_RUNS = 5
SHOWN_MKEKS = 6
HEADINGS = (
    Heading(label=gettext_lazy("MKEK")),
    Heading(label=gettext_lazy("State")),
    Heading(label=gettext_lazy("Key check value")),
    Heading(label=gettext_lazy("pKEKs"), is_number=True),
    Heading(label=gettext_lazy("Secrets"), is_number=True),
)


def part(stock: Stock, *, now: datetime) -> Part:
    """Which generations seal how much, and what is to be rotated next."""
    active = [one for one in stock.generations if one.state == ProjectKEK.State.ACTIVE]
    former = [one for one in stock.generations if one.state == ProjectKEK.State.DECRYPT_ONLY]
    due = sum(one.is_due for one in stock.generations)
    return Part(
        name=NAME,
        title=_("Key coverage"),
        state=mark(_tone(stock, now=now)),
        facts=(
            _of(_("Active pKEKs"), active, "active"),
            _of(_("Former pKEKs"), former, "decrypt_only"),
            Fact(label=_("Due for rotation"), value=link(list_url(ProjectKEK, state="due"), text(due))),
            _oldest(active, now=now),
            *_age(stock.current_mkek, now=now),
        ),
        bars=_encryptions(active),
        table=_table(stock),
        note=_("Secrets are counted with deleted ones that can be restored.") if stock.generations else "",
        empty="" if stock.mkeks else _("There is no MKEK yet: nothing can be stored."),
        is_wide=True,
    )


def open_runs() -> list[KEKRun]:
    """Runs that have not ended, the newest first: one statement."""
    return list(KEKRun.objects.exclude(state__in=runs.ENDED).order_by("-created_at")[: SHOWN_RUNS + 1])


def runs_part(found: list[KEKRun], *, now: datetime) -> Part:
    """Rotations under way."""
    lost = any(runs.is_lost(run, now=now) for run in found)
    tone = Tone.WARNING if lost else Tone.WAITING if found else Tone.QUIET
    return Part(
        name=RUNS_NAME,
        title=_("Rotation runs"),
        state=mark(tone, good=_("Under way") if found else _("None")),
        runs=tuple(
            RunLine(label=RUN_KINDS[run.kind], url=detail_url(KEKRun, run.id), live=live_run(run, now=now))
            for run in found[:SHOWN_RUNS]
        ),
        facts=(
            Fact(label=_("More"), value=link(list_url(KEKRun, state="open"), _("All that have not ended"))),
        )
        if len(found) > SHOWN_RUNS
        else (),
        is_wide=True,
        empty="" if found else _("No rotation is under way."),
    )


def troubles(stock: Stock, found: list[KEKRun], *, now: datetime) -> list[Trouble]:
    """What keeps clients from storing, and what is left lying."""
    result = []
    if stock.current_mkek is None:
        words = _("There is no current MKEK: a project without a pKEK cannot store anything.")
        result.append(Trouble(tone=Tone.BAD, sentence=words, part=NAME))
    lost = sum(runs.is_lost(run, now=now) for run in found)
    if lost:
        words = ngettext(
            "%(count)s rotation run gives no sign of life.",
            "%(count)s rotation runs give no sign of life.",
            lost,
        )
        result.append(Trouble(tone=Tone.WARNING, sentence=many(lost, words), part=RUNS_NAME))
    if stock.current_mkek and is_due(stock.current_mkek, now=now):
        words = _("The MKEK %(label)s was generated more than %(days)s days ago: replace it.") % {
            "label": stock.current_mkek.label,
            "days": intcomma(settings.MKEK_MAX_DAYS),
        }
        result.append(Trouble(tone=Tone.WARNING, sentence=words, part=NAME))
    due = sum(one.is_due for one in stock.generations)
    if due:
        words = ngettext("%(count)s pKEK is due for rotation.", "%(count)s pKEKs are due for rotation.", due)
        result.append(Trouble(tone=Tone.WARNING, sentence=many(due, words), part=NAME))
    return result


def _tone(stock: Stock, *, now: datetime) -> Tone:
    if stock.current_mkek is None:
        return Tone.BAD
    due = is_due(stock.current_mkek, now=now) or any(one.is_due for one in stock.generations)
    return Tone.WARNING if due else Tone.GOOD


def _age(mkek: MKEK | None, *, now: datetime) -> tuple[Fact, ...]:
    if mkek is None:
        return ()
    age = lasting((now - mkek.created_at).total_seconds())
    return (Fact(label=_("Age of the MKEK"), value=link(detail_url(MKEK, mkek.id), age)),)


def _of(label: str, generations: list[Generation], state: str) -> Fact:
    secrets = sum(one.secrets for one in generations)
    words = ngettext("seal %(count)s secret", "seal %(count)s secrets", secrets)
    return Fact(
        label=label,
        value=link(list_url(ProjectKEK, state=state), text(len(generations))),
        note=link(list_url(Secret, sealed=state), many(secrets, words)),
    )


def _oldest(active: list[Generation], *, now: datetime) -> Fact:
    label = _("Oldest not rotated")
    if not active:
        return Fact(label=label, value=missing())
    oldest = min(active, key=lambda one: one.created_at)
    age = lasting((now - oldest.created_at).total_seconds())
    return Fact(
        label=label,
        value=link(detail_url(ProjectKEK, oldest.id), age),
        note=_("of %(project)s") % {"project": oldest.project},
    )


def _encryptions(active: list[Generation]) -> tuple[Bar, ...]:
    """The pKEK that has sealed most: no other is nearer to the limit."""
    if not active:
        return ()
    most = max(active, key=lambda one: one.rows)
    return (
        Bar(
            label=_("Encryptions of the most used pKEK"),
            used=most.rows,
            limit=settings.PKEK_MAX_ENCRYPTIONS or None,
            note=link(
                detail_url(ProjectKEK, most.id),
                _("%(project)s, generation %(generation)s")
                % {"project": most.project, "generation": most.generation},
            ),
        ),
    )


def _table(stock: Stock) -> Table | None:
    pkeks: Counter[str] = Counter()
    secrets: Counter[str] = Counter()
    for one in stock.generations:
        pkeks[one.mkek_id] += 1
        secrets[one.mkek_id] += one.secrets
    shown = [mkek for mkek in stock.mkeks if mkek.state != MKEK.State.RETIRED or secrets[mkek.id]]
    if not shown:
        return None
    return Table(
        caption=_("MKEKs and what is sealed under them"),
        headings=HEADINGS,
        rows=tuple(
            Row.of(
                HEADINGS,
                detail_url(MKEK, mkek.id),
                breakable(mkek.label),
                mkek_pill(mkek),
                code(mkek.kcv),
                link(list_url(ProjectKEK, mkek=mkek.id), text(pkeks[mkek.id])),
                link(list_url(Secret, mkek=mkek.id), text(secrets[mkek.id])),
            )
            for mkek in shown[:SHOWN_MKEKS]
        ),
    )
