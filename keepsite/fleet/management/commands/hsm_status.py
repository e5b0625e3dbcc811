import json as json_module
from argparse import ArgumentParser
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from keepsite.fleet.figures import FleetFigures, MemberFigures, fleet_figures
from keepsite.fleet.models import HSMMember


class Command(BaseCommand):
    """How the processes that serve see the HSM; the database is asked, no token."""

    help = (
        "Show the HSM members as the nodes last reported them, without logging in to any token: exit code 0"
        " only if some process is served by one. `hsm_check` asks the tokens themselves."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How to print it."""
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *, json: bool, **_: object) -> None:
        """Print each member.

        Raises:
            CommandError: no member serves any process, as far as the nodes report.
        """
        now = timezone.now()
        figures = fleet_figures(now)
        unreported = sorted(
            HSMMember.objects.exclude(name__in=[member.name for member in figures.members]).values_list(
                "name", flat=True
            )
        )
        if json:
            self.stdout.write(json_module.dumps(_facts(figures, unreported), indent=2, default=str))
        else:
            self._print(figures, unreported, now)
        if not any(member.serving for member in figures.members):
            raise CommandError(
                "No HSM member serves, as far as the nodes report."
                if figures.reporting
                else "No node reports: each process that serves does, ten seconds after its start."
            )

    def _print(self, figures: FleetFigures, unreported: list[str], now: datetime) -> None:
        for member in figures.members:
            self._row(f"member {member.name}", f"{member.worst}{', a standby' if member.is_standby else ''}")
            self._row("  token", member.token or "-")
            for node, states in member.states_by_node.items():
                self._row(f"  processes of {node}", _counted(states))
            self._row("  last canary", _ago(member.last_canary_at, now))
            self._row("  sessions", _of(member.sessions, member.sessions_allowed, "the token allows"))
            self._row("  session objects", _of(member.keys, member.objects_allowed, "there is room for"))
        for name in unreported:
            self._row(f"member {name}", "reported by no node")
        self._row("nodes that report", ", ".join(figures.reporting) or "none")
        if figures.silent:
            self._row("nodes silent of late", ", ".join(figures.silent))

    def _row(self, name: str, value: str) -> None:
        self.stdout.write(f"{name:<24} {value}")


def _counted(states: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in states.items()) or "none"


def _ago(at: datetime | None, now: datetime) -> str:
    if at is None:
        return "none yet"
    return f"{at:%Y-%m-%dT%H:%M:%SZ}, {round((now - at).total_seconds())} s ago where it is longest ago"


def _of(count: int, allowed: int | None, words: str) -> str:
    return f"{count} in all" if allowed is None else f"{count} in all; {words} {allowed}"


def _facts(figures: FleetFigures, unreported: list[str]) -> dict[str, Any]:  # Any: JSON
    return {
        "members": [_member(member) for member in figures.members],
        "unreported": unreported,
        "reporting": figures.reporting,
        "silent": figures.silent,
    }


def _member(member: MemberFigures) -> dict[str, Any]:  # Any: JSON
    return {
        "name": member.name,
        "token": member.token,
        "is_standby": member.is_standby,
        "state": member.worst,
        "states_by_node": member.states_by_node,
        "last_canary_at": member.last_canary_at.isoformat() if member.last_canary_at else None,
        "sessions": member.sessions,
        "sessions_allowed": member.sessions_allowed,
        "session_objects": member.keys,
        "session_objects_most": member.keys_most,
        "session_objects_allowed": member.objects_allowed,
    }
