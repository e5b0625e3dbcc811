from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseError

from hsm import provider
from hsm.ceremony import MemberView, compare_members, differences
from hsm.client import HSM
from hsm.connection import mechanism_name
from hsm.errors import HSMError
from hsm.keys import WrappedKey


class Command(BaseCommand):
    """Log in to the HSM in a process of its own and tell what is there."""

    help = (
        "Log in to every HSM member, check its mechanisms, list its MKEKs and compare the members: exit code"
        " 0 only if all serve and each opens the canary of every MKEK in service."
    )
    requires_system_checks = ()  # it says better what is wrong

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        """Print a table per member."""
        del args, options
        try:
            hsm = HSM(provider.config_from_settings())
        except HSMError as error:
            raise CommandError(str(error)) from error
        try:
            hsm.start()
            canaries = self._canaries()
            views = compare_members(hsm, canaries.values())
        except HSMError as error:
            raise CommandError(f"{type(error).__name__}: {error}") from error
        finally:
            for member in hsm.status():
                self._row(f"member {member.name}", member.state)
                self._row("  module", member.module)
                self._row("  token", f"{member.token_label or '-'}  serial {member.token_serial or '-'}")
        names = (mechanism_name(number) for number in hsm.profile.required_mechanisms)
        self._row("  mechanisms", ", ".join(names))
        for view in views:
            self._show(view, canaries)
        hsm.close()
        wrong = differences(views, canaries)
        if wrong:
            raise CommandError("\n".join(wrong))

    def _canaries(self) -> Mapping[str, WrappedKey]:
        """What the database says must be there; without it the tokens are shown as they are."""
        try:
            return provider.mkeks_in_service()
        except DatabaseError as error:
            self._row("database", f"away or not migrated ({type(error).__name__}): members are not compared")
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
