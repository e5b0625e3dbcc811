from collections import Counter
from datetime import datetime

from django.utils.safestring import SafeString

from keepsite.console.pages.dashboard.shapes import Part, Trouble
from keepsite.console.pages.dashboard.words import mark
from keepsite.nodes.limits import NodeLimits
from keepsite.nodes.models import Node
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

NAME = "nodes"
SHOWN = 10
HEADINGS = (
    Heading(label="Node"),
    Heading(label="Colour"),
    Heading(label="Role"),
    Heading(label="Version"),
    Heading(label="Last heartbeat"),
    Heading(label="In flight", is_number=True),
)
TONES = {Colour.GREEN: Tone.GOOD, Colour.BLUE: Tone.WAITING, Colour.NONE: Tone.QUIET}
WORDS = {Colour.GREEN: "Green", Colour.BLUE: "Blue", Colour.NONE: "No colour"}


def all_nodes() -> list[Node]:
    """One statement; there are some dozens at most."""
    return list(Node.objects.all())


def part(nodes: list[Node], *, now: datetime) -> Part:
    """How many there are of each colour, and those first that somebody should look at."""
    heard = _heard(nodes, now=now)
    first = sorted(nodes, key=lambda node: (node.name in heard, not node.is_draining, node.name))
    tones = [trouble.tone for trouble in troubles(nodes, now=now)]
    tone = Tone.BAD if Tone.BAD in tones else Tone.WARNING if tones else Tone.GOOD
    return Part(
        name=NAME,
        title="Nodes",
        state=mark(tone if nodes else Tone.QUIET, good="Well" if nodes else "None"),
        facts=tuple(_figures(nodes, heard)) if nodes else (),
        table=Table(
            caption="Nodes",
            headings=HEADINGS,
            rows=tuple(_row(node, is_heard=node.name in heard, now=now) for node in first[:SHOWN]),
        )
        if nodes
        else None,
        note=f"{len(nodes) - SHOWN} more are in the list; those without a sign of life stand above."
        if len(nodes) > SHOWN
        else "",
        empty="" if nodes else "No node has registered: that is what a node agent does, one on each node.",
        is_wide=True,
    )


def troubles(nodes: list[Node], *, now: datetime) -> list[Trouble]:
    """Nodes that are gone, and traffic that reaches nobody."""
    heard = _heard(nodes, now=now)
    found = []
    coloured = [node for node in nodes if node.role == Node.Role.API and node.colour != Colour.NONE]
    green = [
        node
        for node in coloured
        if node.name in heard and node.colour == Colour.GREEN and not node.is_draining
    ]
    if coloured and not green:
        words = "No green node gives a sign of life: the balancer has nobody to send requests to."
        found.append(Trouble(tone=Tone.BAD, sentence=words, part=NAME))
    silent = sorted(node.name for node in nodes if node.name not in heard)
    if silent:
        names = ", ".join(silent[:3]) + (f" and {len(silent) - 3} more" if len(silent) > 3 else "")  # noqa: PLR2004  # a sentence's worth
        words = f"No sign of life from {'node' if len(silent) == 1 else 'nodes'} {names}."
        found.append(Trouble(tone=Tone.WARNING, sentence=words, part=NAME))
    return found


def _heard(nodes: list[Node], *, now: datetime) -> set[str]:
    within = NodeLimits.from_settings().heard_within
    return {node.name for node in nodes if node.is_heard(now=now, within=within)}


def _figures(nodes: list[Node], heard: set[str]) -> list[Fact]:
    colours = Counter(Colour(node.colour) for node in nodes)
    return [
        *(Fact(label=WORDS[colour], value=link(list_url(Node), text(colours[colour]))) for colour in WORDS),
        Fact(label="Draining", value=link(list_url(Node), text(sum(node.is_draining for node in nodes)))),
        Fact(label="No sign of life", value=link(list_url(Node), text(len(nodes) - len(heard)))),
        Fact(label="Versions", value=", ".join(sorted({node.version for node in nodes}))),
    ]


def _row(node: Node, *, is_heard: bool, now: datetime) -> Row:
    return Row.of(
        HEADINGS,
        detail_url(Node, node.name),
        breakable(node.name),
        _pill(node, is_heard=is_heard),
        node.get_role_display(),
        node.version,
        relative(node.heartbeat_at, now=now),
        node.requests_in_flight,
    )


def _pill(node: Node, *, is_heard: bool) -> SafeString:
    colour = Colour(node.colour)
    if not is_heard:
        return pill(f"Silent, was {WORDS[colour].lower()}", Tone.BAD)
    if node.is_draining:
        return pill(f"{WORDS[colour]}, draining", Tone.WARNING)
    return pill(WORDS[colour], TONES[colour])
