import json
from argparse import ArgumentParser
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseError

from hsm import provider
from hsm.ceremony import MemberView, compare_members, differences
from hsm.client import HSM
from hsm.connection import mechanism_name
from hsm.errors import HSMError, MemberUnavailable
from hsm.footprint import beyond_budget, beyond_limits, beyond_memory, footprint
from hsm.keys import GCM_IV_BYTES, WrappedKey
from hsm.member import MemberStatus
from hsm.native import TokenLimits
from hsm.profiles import IVSource, Profile


class Command(BaseCommand):
    """Log in to the HSM in a process of its own and tell what is there."""

    help = (
        "Log in to every HSM member, check its mechanisms, list its MKEKs and compare the members: exit code"
        " 0 only if all serve and each opens the canary of every MKEK in service."
    )
    requires_system_checks = ()  # it says better what is wrong

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take ``--json``."""
        parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        """Print what each member is and holds.

        Raises:
            CommandError: a member does not serve, or lacks an MKEK in service; what was found out is
                printed all the same.
        """
        del args
        try:
            hsm = HSM(provider.config_from_settings())
        except HSMError as error:
            raise CommandError(str(error)) from error
        canaries = self._canaries()
        views: tuple[MemberView, ...] = ()
        failed: HSMError | None = None
        try:
            hsm.start()
            views = compare_members(hsm, canaries.values())
        except HSMError as error:
            failed = error
        members = hsm.status()
        if options["json"]:
            self.stdout.write(json.dumps(_facts(hsm, members, views), indent=2, default=str))
        else:
            self._print(hsm, members)
            for view in views:
                self._show(view, canaries)
        with suppress(MemberUnavailable):  # a call hangs; the process ends anyway
            hsm.close()
        if failed is not None:
            raise CommandError(f"{type(failed).__name__}: {failed}") from failed
        wrong = list(differences(views, canaries))
        out = [member.name for member in members if not member.state.serves]
        if out:
            wrong.append(f"{', '.join(out)} cannot serve; the lines above say why.")
        if wrong:
            raise CommandError("\n".join(wrong))

    def _print(self, hsm: HSM, members: tuple[MemberStatus, ...]) -> None:
        for member in members:
            self._row(f"member {member.name}", member.state)
            if member.last_error:
                self._row("  because", member.history[-1].reason)
            self._row("  module", member.module)
            self._row("  token", f"{member.token_label or '-'}  serial {member.token_serial or '-'}")
            if member.limits:
                self._row("  sessions at most", str(member.limits.sessions or "not told"))
                self._row("  private memory", _memory(member.limits))
        self._row("profile", hsm.profile.name)
        self._row("  mechanisms", ", ".join(mechanism_name(number) for number in hsm.profile.uses))
        self._row("  IVs", _ivs(hsm.profile))
        self._row("  one call takes", f"{hsm.profile.max_single_part_bytes} bytes at most")
        need = footprint(hsm.config)
        self._row("processes", f"{need.processes}, of all nodes")
        self._row("  sessions", f"{need.sessions} on each token at most")
        room = hsm.config.session_object_budget
        self._row(
            "  session objects",
            f"{need.objects} on each token at most, {need.shared_objects} on those of one module, some"
            f" {hsm.profile.session_object_bytes} bytes each, room for {room or 'not configured'}",
        )
        for problem in _problems(hsm, members):
            self._row("  TOO MUCH", problem)

    def _canaries(self) -> Mapping[str, WrappedKey]:
        """What the database says must be there; without it the tokens are shown as they are."""
        try:
            return provider.mkeks_in_service()
        except DatabaseError as error:
            self.stderr.write(
                f"The database is away or not migrated ({type(error).__name__}): members are not compared."
            )
            return {}

    def _show(self, view: MemberView, canaries: Mapping[str, WrappedKey]) -> None:
        self._row(f"MKEKs on {view.name}", str(len(view.mkeks)) if view.mkeks else "none")
        opened = {canary.mkek_id: view.proofs[canary.key_id] for canary in canaries.values()}
        for mkek in view.mkeks:
            proof = opened.get(mkek.mkek_id)
            said = "unknown to the database" if proof is None else proof or "canary opens"
            self._row(
                f"  MKEK {mkek.label}",
                f"id {mkek.mkek_id.hex()}  kcv {mkek.kcv.hex() or '-'}  template {mkek.template}  {said}",
            )
        if not view.mkeks and not canaries:
            self._row("  MKEK", "none yet; `manage.py mkek_generate` makes one")

    def _row(self, name: str, value: str) -> None:
        self.stdout.write(f"{name:<24} {value}")


def _ivs(profile: Profile) -> str:
    if profile.iv_source is IVSource.INTERNAL:
        return f"made inside the encryption, {profile.internal_iv_bytes} bytes, at {profile.internal_iv_at}"
    made_by = "the token's generator" if profile.iv_source is IVSource.HSM else "this machine's generator"
    return f"made by {made_by}, {GCM_IV_BYTES} bytes"


def _memory(limits: TokenLimits) -> str:
    if limits.private_bytes is None and limits.free_private_bytes is None:
        return "not told"
    known = (limits.free_private_bytes, limits.private_bytes)
    free, total = ("not told" if one is None else one for one in known)
    return f"{free} bytes free of {total}"


def _problems(hsm: HSM, members: tuple[MemberStatus, ...]) -> list[str]:
    problems = [
        beyond(hsm.config, member.limits)
        for member in members
        if member.limits
        for beyond in (beyond_limits, beyond_memory)
    ]
    return [problem for problem in (beyond_budget(hsm.config), *problems) if problem]


def _facts(
    hsm: HSM, members: tuple[MemberStatus, ...], views: tuple[MemberView, ...]
) -> dict[str, Any]:  # Any: JSON
    known = {mkek.mkek_id: mkek for view in views for mkek in view.mkeks}
    return {
        "members": [asdict(member) for member in members],
        "profile": asdict(hsm.profile),
        "footprint": asdict(footprint(hsm.config))
        | {"session_object_budget": hsm.config.session_object_budget, "problems": _problems(hsm, members)},
        "mkeks": [
            {
                "label": mkek.label,
                "id": mkek.mkek_id.hex(),
                "kcv": mkek.kcv.hex(),
                "template": mkek.template,
                "members": [view.name for view in views if mkek.mkek_id in {m.mkek_id for m in view.mkeks}],
            }
            for mkek in known.values()
        ],
    }
