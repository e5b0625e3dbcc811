from collections import Counter
from datetime import datetime

from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from keepsite.console.pages.dashboard.shapes import Part, Trouble
from keepsite.console.pages.dashboard.words import many, mark
from keepsite.nodes.console.words import PROMOTION_STATES, ROLE_WORDS
from keepsite.nodes.limits import NodeLimits
from keepsite.nodes.models import Node, Promotion
from keepsite.nodes.states import Colour
from keepsite.readonly import (
    Fact,
    Heading,
    Row,
    Table,
    Tone,
    breakable,
    detail_url,
    link,
    list_url,
    pill,
    relative,
    text,
)
from keepsite.translation import gettext_lazy

NAME = "nodes"
SHOWN = 10
SHOWN_SILENT = 3  # a sentence's worth
HEADINGS = (
    Heading(label=gettext_lazy("Node")),
    Heading(label=gettext_lazy("Colour")),
    Heading(label=gettext_lazy("Role")),
    Heading(label=gettext_lazy("Version")),
    Heading(label=gettext_lazy("Last heartbeat")),
    Heading(label=gettext_lazy("In flight"), is_number=True),
)
TONES = {Colour.GREEN: Tone.GOOD, Colour.BLUE: Tone.WAITING, Colour.NONE: Tone.QUIET}
WORDS = {
    Colour.GREEN: gettext_lazy("Green"),
    Colour.BLUE: gettext_lazy("Blue"),
    Colour.NONE: gettext_lazy("No colour"),
}


def all_nodes() -> list[Node]:
    """One statement; there are some dozens at most."""
    return list(Node.objects.all())


def open_promotion() -> Promotion | None:
    """The one that has not ended: one statement."""
    return Promotion.objects.filter(open_marker=True).first()


def part(nodes: list[Node], promotion: Promotion | None, *, now: datetime) -> Part:
    """How many there are of each colour, and those first that somebody should look at."""
    heard = _heard(nodes, now=now)
    first = sorted(nodes, key=lambda node: (node.name in heard, not node.is_draining, node.name))
    tones = [trouble.tone for trouble in troubles(nodes, promotion, now=now)]
    tone = Tone.BAD if Tone.BAD in tones else Tone.WARNING if tones else Tone.GOOD
    return Part(
        name=NAME,
        title=_("Nodes"),
        state=mark(tone if nodes or tones else Tone.QUIET, good=_("Well") if nodes else _("None")),
        facts=(*_promotion(promotion), *(_figures(nodes, heard) if nodes else ())),
        table=Table(
            caption=_("Nodes"),
            headings=HEADINGS,
            rows=tuple(_row(node, is_heard=node.name in heard, now=now) for node in first[:SHOWN]),
        )
        if nodes
        else None,
        note=_more(len(nodes) - SHOWN),
        empty="" if nodes else _("No node has registered: that is what a node agent does, one on each node."),
        is_wide=True,
    )


def troubles(nodes: list[Node], promotion: Promotion | None, *, now: datetime) -> list[Trouble]:
    """Nodes that are gone, traffic that reaches nobody, and a promotion that does not go on."""
    heard = _heard(nodes, now=now)
    found = []
    coloured = [node for node in nodes if node.role == Node.Role.API and node.colour != Colour.NONE]
    green = [
        node
        for node in coloured
        if node.name in heard and node.colour == Colour.GREEN and not node.is_draining
    ]
    if coloured and not green:
        words = _("No green node gives a sign of life: the balancer has nobody to send requests to.")
        found.append(Trouble(tone=Tone.BAD, sentence=words, part=NAME))
    if promotion is not None and promotion.state == Promotion.State.STOPPED:
        words = _("A promotion has stopped: %(problem)s") % {"problem": promotion.problem}
        found.append(Trouble(tone=Tone.BAD, sentence=words, part=NAME))
    if promotion is not None and promotion.state == Promotion.State.ROLLING_BACK:
        words = _("A promotion is being rolled back.")
        found.append(Trouble(tone=Tone.WARNING, sentence=words, part=NAME))
    silent = sorted(node.name for node in nodes if node.name not in heard)
    if silent:
        names, more = ", ".join(silent[:SHOWN_SILENT]), len(silent) - SHOWN_SILENT
        if more > 0:
            names = _("%(names)s and %(more)s more") % {"names": names, "more": more}
        words = ngettext(
            "No sign of life from node %(names)s.", "No sign of life from nodes %(names)s.", len(silent)
        ) % {"names": names}
        found.append(Trouble(tone=Tone.WARNING, sentence=words, part=NAME))
    return found


def _heard(nodes: list[Node], *, now: datetime) -> set[str]:
    within = NodeLimits.from_settings().heard_within
    return {node.name for node in nodes if node.is_heard(now=now, within=within)}


def _promotion(promotion: Promotion | None) -> tuple[Fact, ...]:
    if promotion is None:
        return ()
    word, _tone = PROMOTION_STATES[promotion.state]
    return (Fact(label=_("Promotion"), value=link(detail_url(Promotion, promotion.pk), word)),)


def _figures(nodes: list[Node], heard: set[str]) -> list[Fact]:
    colours = Counter(Colour(node.colour) for node in nodes)
    versions = sorted({node.version for node in nodes})
    return [
        *(_of(WORDS[colour], colours[colour], str(colour)) for colour in WORDS),
        _of(_("Draining"), sum(node.is_draining for node in nodes), "draining"),
        _of(_("No sign of life"), len(nodes) - len(heard), "silent"),
        Fact(
            label=_("Versions"),
            value=format_html_join(
                ", ", "{}", ((link(list_url(Node, version=version), version),) for version in versions)
            ),
        ),
    ]


def _of(label: str, number: int, state: str) -> Fact:
    return Fact(label=label, value=link(list_url(Node, state=state), text(number)))


def _more(number: int) -> str:
    if number <= 0:
        return ""
    words = ngettext(
        "%(count)s more is in the list; those without a sign of life stand above.",
        "%(count)s more are in the list; those without a sign of life stand above.",
        number,
    )
    return link(list_url(Node), many(number, words))


def _row(node: Node, *, is_heard: bool, now: datetime) -> Row:
    return Row.of(
        HEADINGS,
        detail_url(Node, node.name),
        breakable(node.name),
        _pill(node, is_heard=is_heard),
        ROLE_WORDS[node.role],
        node.version,
        relative(node.heartbeat_at, now=now),
        node.requests_in_flight,
    )


def _pill(node: Node, *, is_heard: bool) -> SafeString:
    colour = Colour(node.colour)
    if not is_heard:
        return pill(_("Silent, was %(colour)s") % {"colour": WORDS[colour].lower()}, Tone.BAD)
    if node.is_draining:
        return pill(_("%(colour)s, draining") % {"colour": WORDS[colour]}, Tone.WARNING)
    return pill(WORDS[colour], TONES[colour])
