from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from keepsite.keyring.management.rotating import RotationCommand
from keepsite.keyring.models import KEKRun
from keepsite.keyring.rotation.scope import Scope


class Command(RotationCommand):
    """Bring every pKEK under the current MKEK."""

    help = (
        "Rewrap the pKEKs that former MKEKs wrap under the current one, each proven by its canary. May be "
        "killed at any time and run again, several at once; the exit code is 0 only when nothing is left."
    )
    kind = KEKRun.Kind.REWRAP

    def add_arguments(self, parser: ArgumentParser) -> None:
        """From where."""
        super().add_arguments(parser)
        parser.add_argument(
            "--mkek", metavar="LABEL", help="only what this MKEK wraps (default: all former ones)"
        )
        parser.add_argument("--project", metavar="ID", help="only this project's")

    def scope(self, options: dict[str, Any], now: datetime) -> Scope:  # noqa: ARG002  # Any: argparse's values
        """By MKEK and project."""
        return Scope(mkek=options["mkek"], project=options["project"])
