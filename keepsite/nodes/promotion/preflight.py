"""What must hold before blue takes over, checked and told one by one."""

import http.client
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from keepsite.nodes.limits import NodeLimits
from keepsite.nodes.models import Node, Promotion
from keepsite.nodes.states import Colour

SMOKE_TIMEOUT_S = 3.0
SMOKED_AT_ONCE = 16
TOO_EARLY = 425


@dataclass(frozen=True, slots=True)
class Check:
    """One condition: its name, whether it holds, and what was seen; ``node`` if it is about one."""

    name: str
    holds: bool
    seen: str
    node: str = ""


def preflight(limits: NodeLimits, *, now: datetime) -> list[Check]:
    """Every check, in the order an operator reads them; nothing is changed."""
    nodes = list(Node.objects.filter(role=Node.Role.API))
    blue = [node for node in nodes if node.colour == Colour.BLUE]
    green = [node for node in nodes if node.colour == Colour.GREEN]
    silent = [node for node in (*blue, *green) if not node.is_heard(now=now, within=limits.heard_within)]
    unsettled = [node for node in (*blue, *green) if node.state != node.wanted or node.is_draining]
    versions = sorted({node.version for node in blue})
    behind = [node for node in blue if node.pending_migrations]
    open_promotion = Promotion.objects.filter(open_marker=True).first()
    return [
        Check(
            _("no other promotion is open"),
            open_promotion is None,
            str(open_promotion) if open_promotion else _("none"),
        ),
        Check(
            _("at least %(min_green)s nodes are blue") % {"min_green": limits.min_green},
            len(blue) >= limits.min_green,
            _names(blue),
        ),
        Check(
            _("at least %(min_green)s nodes are green") % {"min_green": limits.min_green},
            len(green) >= limits.min_green,
            _names(green),
        ),
        Check(_("every node sends heartbeats"), not silent, _names(silent) if silent else _("all do")),
        Check(
            _("every node is what it should be"),
            not unsettled,
            _names(unsettled) if unsettled else _("all are"),
        ),
        Check(_("the blue nodes run one version"), len(versions) == 1, ", ".join(versions) or _("none")),
        Check(
            _("the schema has every migration of the blue nodes"),
            not behind,
            _("%(nodes)s wait for `migrate`") % {"nodes": _names(behind)} if behind else _("it has"),
        ),
        *_smoked(blue),
    ]


def _smoked(nodes: Sequence[Node]) -> list[Check]:
    """All at once: nodes that do not answer cost one time-out together."""
    with ThreadPoolExecutor(SMOKED_AT_ONCE) as threads:
        answers = list(threads.map(_answers, nodes))
    return [_smoke_check(node, answer) for node, answer in zip(nodes, answers, strict=True)]


def smoke(node: Node) -> Check:
    """Ask a node through its own address: it answers its pool, and refuses the other one."""
    return _smoke_check(node, _answers(node))


def _answers(node: Node) -> tuple[int, int] | str:
    """What it says to its own pool and to the other one, or what went wrong; knows no reader's language."""
    other = Colour.GREEN if node.colour == Colour.BLUE else Colour.BLUE
    try:
        return _ask(node.address, node.colour), _ask(node.address, other)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"{node.address}: {error}"


def _smoke_check(node: Node, answers: tuple[int, int] | str) -> Check:
    name = _("%(node)s answers its pool and refuses the other") % {"node": node.name}
    if isinstance(answers, str):
        return Check(name, holds=False, seen=answers, node=node.name)
    own, other = answers
    seen = _("%(own)s and %(other)s") % {"own": own, "other": other}
    return Check(name, answers == (HTTPStatus.OK, TOO_EARLY), seen, node.name)


def _ask(address: str, pool: str) -> int:
    url = urlsplit(address)
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    if url.scheme not in kinds or not url.hostname:
        raise ValueError("KEEPSITE_NODE_ADDRESS of that node is no http or https URL")
    connection = kinds[url.scheme](url.hostname, url.port, timeout=SMOKE_TIMEOUT_S)
    try:
        connection.request("GET", f"{url.path.rstrip('/')}/healthcheck", headers={"X-Pool": pool})
        status: int = connection.getresponse().status
        return status
    finally:
        connection.close()


def _names(nodes: Sequence[Node]) -> str:
    return ", ".join(node.name for node in nodes) or _("none")
