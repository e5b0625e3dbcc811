import getpass
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from hsm.errors import HSMError
from hsm.keys import UnwrapTemplate
from hsm.provider import config_from_settings
from keepsite.errors import InvalidInput, KeepsiteError
from keepsite.identity.operators import command_principal
from keepsite.keyring import mkeks
from keepsite.keyring.kcv import FEWEST_COMPONENTS, combined, key_check_value, read_component, wipe
from keepsite.keyring.management.component_files import component_from
from keepsite.keyring.management.confirming import confirm
from keepsite.keyring.management.template_words import NOT_BOUND, TEMPLATES


class Command(BaseCommand):
    """Bring an MKEK to tokens that cannot be cloned, from its custodians' components."""

    help = (
        "Combine the components of an MKEK (XOR) and bring it to each HSM member, pending until it is "
        "activated. Components are typed without echo, or read from files; never given as arguments."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Label, where to, where from."""
        parser.add_argument("--label", required=True, help="CKA_LABEL, such as keepsite-mkek-20260131-1")
        parser.add_argument("--components", type=int, default=2, metavar="N", help="custodians (default: 2)")
        parser.add_argument(
            "--file",
            type=Path,
            action="append",
            default=[],
            help="a component, once for each, not typed",
        )
        parser.add_argument("--member", action="append", default=[], help="only this member (default: all)")
        parser.add_argument("--kcv", help="the key check value that the whole key must have")
        parser.add_argument(
            "--template", choices=TEMPLATES, default=TEMPLATES[0],
            help="what the token shall demand of the pKEKs it unwraps (default: %(default)s)",
        )  # fmt: skip
        parser.add_argument("--yes", action="store_true", help="do not ask about key check values")

    def handle(self, **options: Any) -> None:  # Any: argparse's values
        """Collect, compare key check values, import, forget."""
        components: list[bytearray] = []
        key = bytearray()
        try:
            members = _members(options["member"])
            self._collect(components, options)
            key = combined(components)
            kcv = key_check_value(key)
            if options["kcv"] and options["kcv"].upper() != kcv:
                raise InvalidInput(f"These components make a key with the check value {kcv}.")
            confirm(f"The whole key has the key check value {kcv}.", yes=options["yes"])
            made = mkeks.import_mkek(
                label=options["label"],
                value=key,
                members=members,
                actor=command_principal(),
                template=UnwrapTemplate(options["template"]),
            )
        except KeepsiteError as error:
            raise CommandError(error.public) from error
        finally:
            wipe(key, *components)
        self.stdout.write(
            f"MKEK {made.mkek.label} is on {', '.join(members)}: CKA_ID {made.mkek.cka_id}, key check value "
            f"{made.mkek.kcv}. It is {made.mkek.state}."
        )
        if made.gives_out:
            self.stderr.write(NOT_BOUND)

    def _collect(
        self, components: list[bytearray], options: dict[str, Any]
    ) -> None:  # Any: argparse's values
        count = len(options["file"]) or options["components"]
        if count < FEWEST_COMPONENTS:
            raise InvalidInput("A key is split among two custodians or more.")
        for number in range(1, count + 1):
            if options["file"]:
                component = component_from(options["file"][number - 1])
            else:
                component = _typed(number, count)
            components.append(component)
            confirm(
                f"Component {number} of {count} has the key check value {key_check_value(component)}.",
                yes=options["yes"] or bool(options["file"]),
            )


def _typed(number: int, count: int) -> bytearray:
    if not sys.stdin.isatty():
        raise InvalidInput("Nobody is at the terminal to type components: name files with --file.")
    return read_component(getpass.getpass(f"Component {number} of {count}, 64 hex digits (not shown): "))


def _members(wanted: list[str]) -> tuple[str, ...]:
    try:
        known = tuple(member.name for member in config_from_settings().members)
    except HSMError as error:
        raise CommandError(str(error)) from error
    strange = [name for name in wanted if name not in known]
    if strange:
        raise CommandError(f"There is no member {', '.join(strange)}. Known: {', '.join(known)}.")
    return tuple(wanted) or known
