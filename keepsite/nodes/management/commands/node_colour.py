import json
import time
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from keepsite.approvals import options as two_persons
from keepsite.approvals.commands import NODE_FORGET, NODE_STEERED, Cleared, GuardedCommand
from keepsite.errors import KeepsiteError
from keepsite.identity.operators import command_principal
from keepsite.nodes import services
from keepsite.nodes.limits import NodeLimits
from keepsite.nodes.models import Node
from keepsite.nodes.states import ALL_STATES, DOWN, Colour, NodeState

REFUSED, TIMED_OUT = 1, 3
LOOK_EVERY_S = 0.5


class Command(BaseCommand):
    """Show and set the colour of nodes."""

    help = "Show and set what nodes stand for. Exit codes: 0 done, 1 refused, 2 usage, 3 timed out."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """A verb, and where one is needed the node's name."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        status = verbs.add_parser("status", help="every node: what it is, what it should be, how it does")
        status.add_argument("--json", action="store_true", dest="as_json")
        verbs.add_parser("list-states", help="the states a node can be in, and what balancers hear")
        for verb, meaning in (
            ("green", "serve the green pool"),
            ("blue", "serve the blue pool"),
            ("offline", "serve no pool, at once; drain first to lose no request"),
            ("drain", "take no new requests and messages, finish those under way"),
            ("undrain", "take them again"),
        ):
            parsed = verbs.add_parser(verb, help=meaning)
            _add_node(parsed)
            _add_reason(parsed)
        waiting = verbs.add_parser(
            "wait-drained", help="wait until a draining node has finished its requests and its workers theirs"
        )
        _add_node(waiting)
        waiting.add_argument("--timeout", type=float, default=120.0, help="s (default: %(default)g)")
        forget = verbs.add_parser("forget", help="remove a node that is gone for good")
        forget.add_argument("node")
        _add_reason(forget)

    def handle(self, *, verb: str, **options: Any) -> None:  # Any: argparse's values
        """Do what the verb says."""
        does: dict[str, Any] = {  # Any: methods of different shape
            "status": self._status,
            "list-states": self._list_states,
            "wait-drained": self._wait_drained,
            "forget": self._forget,
        }
        try:
            if verb in does:
                does[verb](**options)
            else:
                self._want(verb, **options)
        except KeepsiteError as error:
            raise CommandError(error.public, returncode=REFUSED) from error

    def _want(self, verb: str, *, node: str, reason: str, **options: Any) -> None:  # Any: argparse's values
        wanted = {"green": NodeState(Colour.GREEN), "blue": NodeState(Colour.BLUE), "offline": DOWN}.get(verb)
        found = services.find(node)
        if wanted is None:
            wanted = NodeState(found.wanted.colour, draining=verb == "drain")
        services.require_possible(found, wanted)  # or an approval would be used up for nothing
        cleared = self._cleared(NODE_STEERED[verb], node, reason=reason, **options)
        if cleared is None:
            return
        found = services.want(node, wanted, actor=cleared.actor, reason=cleared.reason, now=timezone.now())
        self.stdout.write(f"{found.name} is to be: {wanted}. It was: {found.state}.")
        if not found.is_heard(now=timezone.now(), within=NodeLimits.from_settings().heard_within):
            self.stderr.write(
                f"{found.name} has sent no heartbeat since {found.heartbeat_at:%Y-%m-%d %H:%M:%S} UTC; "
                "it follows when its node agent runs again."
            )

    def _cleared(
        self, command: GuardedCommand, node: str, *, reason: str, ask: bool, emergency: bool, **_: Any
    ) -> Cleared | None:  # Any: argparse's values
        """Who does it, and why; None where it was asked for."""
        return two_persons.cleared(
            command,
            (node,),
            actor=command_principal(),
            reason=reason,
            ask=ask,
            emergency=emergency,
            say=self.stdout.write,
        )

    def _status(self, *, as_json: bool, **_: Any) -> None:  # Any: argparse's values
        now, limits = timezone.now(), NodeLimits.from_settings()
        nodes = list(Node.objects.order_by("colour", "name"))
        if as_json:
            self.stdout.write(json.dumps([_described(node) for node in nodes], indent=2))
            return
        line = "{:<20} {:<7} {:<12} {:<12} {:<10} {:>6} {:>12}"
        self.stdout.write(line.format("node", "role", "is", "should be", "version", "busy", "heard"))
        for node in nodes:
            heard = f"{(now - node.heartbeat_at).total_seconds():.0f} s ago"
            silent = "" if node.is_heard(now=now, within=limits.heard_within) else "  SILENT"
            silent = "  LOST" if node.lost_at else silent
            self.stdout.write(
                line.format(
                    node.name,
                    node.role,
                    str(node.state),
                    str(node.wanted),
                    node.version,
                    node.requests_in_flight,
                    heard,
                )
                + silent
            )

    def _list_states(self, **_: Any) -> None:  # Any: argparse's values
        self.stdout.write(f"{'state':<12} {'/green':>7} {'/blue':>6} {'/':>4}")
        for state in ALL_STATES:
            green, blue, any_pool = (int(state.answer(pool)) for pool in (Colour.GREEN, Colour.BLUE, ""))
            self.stdout.write(f"{state!s:<12} {green:>7} {blue:>6} {any_pool:>4}")

    def _wait_drained(self, *, node: str, timeout: float, **_: Any) -> None:  # Any: argparse's values
        asked_at = timezone.now()
        while True:
            found = services.find(node)
            if found.heartbeat_at > asked_at and found.state.draining and found.requests_in_flight == 0:
                self.stdout.write(f"{found.name} has nothing under way.")
                return
            if timezone.now() - asked_at > timedelta(seconds=timeout):
                raise CommandError(
                    f"{found.name} is {found.state} with {found.requests_in_flight} requests or workers "
                    f"under way after {timeout:g} s.",
                    returncode=TIMED_OUT,
                )
            time.sleep(LOOK_EVERY_S)

    def _forget(self, *, node: str, reason: str, **options: Any) -> None:  # Any: argparse's values
        services.find(node)
        cleared = self._cleared(NODE_FORGET, node, reason=reason, **options)
        if cleared is None:
            return
        services.forget(
            node,
            actor=cleared.actor,
            reason=cleared.reason,
            now=timezone.now(),
            heard_within=NodeLimits.from_settings().heard_within,
        )
        self.stdout.write(f"{node} is forgotten.")


def _add_node(parser: ArgumentParser) -> None:
    parser.add_argument("node", nargs="?", default=settings.NODE_NAME, help="default: this node, %(default)s")


def _add_reason(parser: ArgumentParser) -> None:
    parser.add_argument("--reason", default="", help="goes into the audit trail")
    two_persons.add_arguments(parser)


def _described(node: Node) -> dict[str, object]:
    return {
        "name": node.name,
        "role": node.role,
        "state": str(node.state),
        "wanted": str(node.wanted),
        "wanted_by": node.wanted_by,
        "version": node.version,
        "address": node.address,
        "pending_migrations": node.pending_migrations,
        "requests_in_flight": node.requests_in_flight,
        "heartbeat_at": node.heartbeat_at.isoformat(),
        "lost_at": node.lost_at.isoformat() if node.lost_at else None,
    }
