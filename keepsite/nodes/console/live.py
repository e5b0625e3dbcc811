"""Nodes and promotions as their pages show them, refreshed while one looks."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from keepsite.acts.pages import Button
from keepsite.nodes.console.words import (
    ROLE_WORDS,
    node_pill,
    promotion_pill,
    state_words,
    step_pill,
    step_words,
)
from keepsite.nodes.limits import NodeLimits
from keepsite.nodes.models import Node, Promotion, PromotionStep
from keepsite.nodes.states import Colour
from keepsite.readonly import (
    TIME_OF_DAY,
    Heading,
    Notice,
    Row,
    Table,
    Tone,
    breakable,
    detail_url,
    missing,
    moment,
    pill,
    written,
)
from keepsite.translation import gettext_lazy

REFRESH_S = 2
HEADINGS = (
    Heading(label=gettext_lazy("Node")),
    Heading(label=gettext_lazy("State")),
    Heading(label=gettext_lazy("Version")),
    Heading(label=gettext_lazy("Requests"), is_number=True),
    Heading(label=gettext_lazy("Heard")),
)
Steering = Callable[[Node], Sequence[Button]]
POOLS = {
    Colour.GREEN: gettext_lazy("Green"),
    Colour.BLUE: gettext_lazy("Blue"),
    Colour.NONE: gettext_lazy("Neither"),
}
LEADS = {
    Colour.BLUE: gettext_lazy("Waits with another release, or rests."),
    Colour.GREEN: gettext_lazy("Carries the traffic."),
    Colour.NONE: gettext_lazy("In no pool, and its workers rest."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """The nodes of one colour."""

    name: str
    title: str
    lead: str
    summary: str
    table: Table | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLine:
    """A step: what it does, how it stands, and when it was taken."""

    label: str
    state: SafeString
    times: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LivePromotion:
    """A promotion as its page shows it, and the page of all nodes while it is open."""

    url: str
    state: SafeString
    notice: Notice
    done: int
    total: int
    numbers: str
    steps: tuple[StepLine, ...]
    is_over: bool


def pools(
    nodes: Iterable[Node], *, now: datetime, limits: NodeLimits, steering: Steering | None = None
) -> tuple[Pool, ...]:
    """Blue and green side by side; a third of those without a colour, if there are any.

    ``steering`` says what the reader may do with a node; its links stand below the node's state.
    """
    nodes = list(nodes)
    found = []
    for colour in (Colour.BLUE, Colour.GREEN, Colour.NONE):
        of_colour = [node for node in nodes if node.colour == colour]
        if of_colour or colour is not Colour.NONE:
            found.append(_pool(colour, of_colour, now=now, limits=limits, steering=steering))
    return tuple(found)


def live_promotion(promotion: Promotion, *, now: datetime, limits: NodeLimits) -> LivePromotion:
    """From its row, its steps, and whether any node is heard: three statements."""
    steps = list(promotion.steps.all())
    counted = [step for step in steps if step.state != PromotionStep.State.DROPPED]
    stopped_at = _stopped_at(promotion, steps)
    done = sum(step.state == PromotionStep.State.DONE for step in counted)
    return LivePromotion(
        url=detail_url(Promotion, promotion.pk),
        state=promotion_pill(promotion),
        notice=_notice(promotion, steps, now=now, limits=limits),
        done=done,
        total=len(counted) or 1,
        numbers=_("%(done)s of %(count)s steps done") % {"done": done, "count": len(counted)},
        steps=tuple(_line(step, is_stopped=step is stopped_at) for step in steps),
        is_over=promotion.open_marker is None,
    )


def _pool(
    colour: Colour, nodes: Sequence[Node], *, now: datetime, limits: NodeLimits, steering: Steering | None
) -> Pool:
    title = POOLS[colour]
    apis = [node for node in nodes if node.role == Node.Role.API]
    serving = sum(
        not node.is_draining and node.is_heard(now=now, within=limits.heard_within) for node in apis
    )
    words = ngettext("%(count)s node", "%(count)s nodes", len(nodes)) % {"count": len(nodes)}
    if colour is not Colour.NONE and nodes:
        words = _("%(nodes)s; %(serving)s of %(apis)s API nodes heard and taking requests") % {
            "nodes": words,
            "serving": serving,
            "apis": len(apis),
        }
    rows = tuple(_row(node, now=now, limits=limits, steering=steering) for node in nodes)
    table = Table(caption=title, headings=HEADINGS, rows=rows) if rows else None
    return Pool(name=str(colour), title=title, lead=LEADS[colour], summary=words, table=table)


def _row(node: Node, *, now: datetime, limits: NodeLimits, steering: Steering | None) -> Row:
    state = _state(node, now=now, limits=limits)
    return Row.of(
        HEADINGS,
        detail_url(Node, node.pk),
        breakable(node.name),
        format_html("{}{}", state, _links(node, steering(node))) if steering else state,
        node.version,
        _requests(node, now=now, limits=limits),
        heard(node, now=now, limits=limits),
    )


def _links(node: Node, buttons: Sequence[Button]) -> SafeString:
    """What may be done with it; read aloud each says with which node."""
    links = format_html_join(
        "",
        '<li><a href="{}" aria-label="{}">{}</a></li>',
        (
            (
                button.url,
                _("%(act)s: %(node)s") % {"act": button.label, "node": node.name},
                button.label,
            )
            for button in buttons
        ),
    )
    return format_html('<ul class="steering">{}</ul>', links)


def _state(node: Node, *, now: datetime, limits: NodeLimits) -> SafeString:
    shown = node_pill(node, now=now, limits=limits)
    notes = [] if node.role == Node.Role.API else [str(ROLE_WORDS[node.role])]
    if node.wanted != node.state:
        notes.append(_("is to be %(state)s") % {"state": state_words(node.wanted)})
    if node.pending_migrations:
        notes.append(_("waits for migrate"))
    return format_html('{} <span class="note">{}</span>', shown, ", ".join(notes)) if notes else shown


def _requests(node: Node, *, now: datetime, limits: NodeLimits) -> SafeString | int:
    """How many it works on; what a silent node last said would look like traffic."""
    if node.is_heard(now=now, within=limits.heard_within):
        return int(node.requests_in_flight)
    return missing(_("not known"))


def heard(node: Node, *, now: datetime, limits: NodeLimits) -> SafeString | str:
    """When it was heard last; the moment of a node that is heard every other second would only flicker."""
    if node.is_heard(now=now, within=limits.heard_within):
        return _("just now")
    return moment(node.heartbeat_at)


def _stopped_at(promotion: Promotion, steps: Sequence[PromotionStep]) -> PromotionStep | None:
    """The step that could not be taken."""
    if promotion.state != Promotion.State.STOPPED:
        return None
    open_states = {PromotionStep.State.WAITING, PromotionStep.State.RUNNING}
    return next((step for step in steps if step.state in open_states), None)


def _line(step: PromotionStep, *, is_stopped: bool) -> StepLine:
    label = f"{step.position + 1}. {step_words(step)}"
    return StepLine(
        label=_("%(label)s, to roll back") % {"label": label} if step.is_rollback else label,
        state=pill(_("Stopped"), Tone.BAD) if is_stopped else step_pill(step),
        times=_times(step),
    )


def _times(step: PromotionStep) -> str:
    if step.started_at is None:
        return ""
    if step.ended_at is None:
        return _("since %(started_at)s") % {"started_at": written(step.started_at, TIME_OF_DAY)}
    return _("%(started_at)s to %(ended_at)s") % {
        "started_at": written(step.started_at, TIME_OF_DAY),
        "ended_at": written(step.ended_at, TIME_OF_DAY),
    }


def _notice(
    promotion: Promotion, steps: Sequence[PromotionStep], *, now: datetime, limits: NodeLimits
) -> Notice:
    state = Promotion.State
    match promotion.state:
        case state.STOPPED:
            words = _(
                "%(problem)s Nothing moves until somebody decides: mend it and resume, or roll back."
            ) % {"problem": promotion.problem}
            return Notice(tone=Tone.BAD, message=words)
        case state.DONE:
            words = _(
                "Done: blue and green have changed places. It can be rolled back as long as these colours"
                " stand and no later promotion is started; after that, promote once more."
            )
            return Notice(tone=Tone.GOOD, message=words)
        case state.ROLLED_BACK:
            passed_over = ", ".join(sorted({step.node_id for step in steps if step.is_passed_over}))
            if passed_over:
                words = _(
                    "Rolled back, but for %(nodes)s: silent or out of service when their turn came. Look what"
                    " they are before they serve again."
                ) % {"nodes": passed_over}
                return Notice(tone=Tone.WARNING, message=words)
            words = _("Rolled back: every node that was touched has its old colour again.")
            return Notice(tone=Tone.QUIET, message=words)
    if not Node.objects.filter(heartbeat_at__gte=now - limits.heard_within).exists():
        words = _("No node is heard. Node agents take the steps: see that they run, and reach the database.")
        return Notice(tone=Tone.WARNING, message=words)
    return Notice(
        tone=Tone.WARNING if promotion.state == state.ROLLING_BACK else Tone.WAITING,
        message=_under_way(promotion, steps, limits),
    )


def _under_way(promotion: Promotion, steps: Sequence[PromotionStep], limits: NodeLimits) -> str:
    begin = [_("Rolling back.")] if promotion.state == Promotion.State.ROLLING_BACK else []
    under_way = next((step for step in steps if step.state == PromotionStep.State.RUNNING), None)
    if under_way is None:
        return " ".join([*begin, _("A node agent takes the next step within seconds.")])
    words = {
        PromotionStep.Act.TO_GREEN: _("Step %(number)s: %(step)s and is then watched for %(seconds)s s."),
        PromotionStep.Act.DRAIN: _(
            "Step %(number)s: %(step)s until no request and no message is left there."
        ),
    }.get(PromotionStep.Act(under_way.act), _("Step %(number)s: %(step)s."))
    told = {
        "number": under_way.position + 1,
        "step": step_words(under_way),
        "seconds": f"{limits.settle.total_seconds():g}",
    }
    return " ".join([*begin, words % told])
