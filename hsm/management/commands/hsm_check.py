import json
from argparse import ArgumentParser
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from hsm import provider
from hsm.client import HSM
from hsm.connection import mechanism_name
from hsm.errors import HSMError, MemberUnavailable
from hsm.footprint import beyond_budget, beyond_limits, footprint
from hsm.keys import MKEKInfo
from hsm.member import MemberStatus


class Command(BaseCommand):
    """Log in to the HSM in a process of its own and tell what is there."""

    help = "Log in to every HSM member, check its mechanisms, list its MKEKs; exit code 0 only if all serve."
    requires_system_checks = ()  # it says better what is wrong

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take ``--json``."""
        parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        """Print what each member is and holds.

        Raises:
            CommandError: a member does not serve; what was found out is printed all the same.
        """
        del args
        try:
            hsm = HSM(provider.config_from_settings())
        except HSMError as error:
            raise CommandError(str(error)) from error
        mkeks: tuple[MKEKInfo, ...] = ()
        failed: HSMError | None = None
        try:
            hsm.start()
            mkeks = hsm.mkeks()
        except HSMError as error:
            failed = error
        members = hsm.status()
        if options["json"]:
            self.stdout.write(json.dumps(_facts(hsm, members, mkeks), indent=2, default=str))
        else:
            self._print(hsm, members, mkeks)
        with suppress(MemberUnavailable):  # a call hangs; the process ends anyway
            hsm.close()
        if failed is not None:
            raise CommandError(f"{type(failed).__name__}: {failed}") from failed
        out = [member.name for member in members if not member.state.serves]
        if out:
            raise CommandError(f"{', '.join(out)} cannot serve; the lines above say why.")

    def _print(self, hsm: HSM, members: tuple[MemberStatus, ...], mkeks: tuple[MKEKInfo, ...]) -> None:
        for member in members:
            self._row(f"member {member.name}", member.state)
            if member.last_error:
                self._row("  because", member.history[-1].reason)
            self._row("  module", member.module)
            self._row("  token", f"{member.token_label or '-'}  serial {member.token_serial or '-'}")
            if member.limits:
                self._row("  sessions at most", str(member.limits.sessions or "not told"))
        self._row(
            "mechanisms", ", ".join(mechanism_name(number) for number in hsm.profile.required_mechanisms)
        )
        need = footprint(hsm.config)
        self._row("processes", f"{need.processes}, of all nodes")
        self._row("  sessions", f"{need.sessions} on each token at most")
        room = hsm.config.session_object_budget
        self._row(
            "  session objects", f"{need.objects} on each token at most, room for {room or 'not configured'}"
        )
        for problem in _problems(hsm, members):
            self._row("  TOO MUCH", problem)
        for mkek in mkeks:
            self._row(f"MKEK {mkek.label}", f"id {mkek.mkek_id.hex()}  kcv {mkek.kcv.hex() or '-'}")
        if not mkeks:
            self._row("MKEK", "none yet; `manage.py mkek_generate` makes one")

    def _row(self, name: str, value: str) -> None:
        self.stdout.write(f"{name:<24} {value}")


def _problems(hsm: HSM, members: tuple[MemberStatus, ...]) -> list[str]:
    problems = [beyond_limits(hsm.config, member.limits) for member in members if member.limits]
    return [problem for problem in (beyond_budget(hsm.config), *problems) if problem]


def _facts(
    hsm: HSM, members: tuple[MemberStatus, ...], mkeks: tuple[MKEKInfo, ...]
) -> dict[str, Any]:  # Any: JSON
    return {
        "members": [asdict(member) for member in members],
        "profile": hsm.profile.name,
        "footprint": asdict(footprint(hsm.config))
        | {"session_object_budget": hsm.config.session_object_budget, "problems": _problems(hsm, members)},
        "mkeks": [{"label": mkek.label, "id": mkek.mkek_id.hex(), "kcv": mkek.kcv.hex()} for mkek in mkeks],
    }
