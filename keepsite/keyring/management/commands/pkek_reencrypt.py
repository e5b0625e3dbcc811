from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from keepsite.keyring.management.rotating import RotationCommand
from keepsite.keyring.models import KEKRun
from keepsite.keyring.rotation.scope import Scope


class Command(RotationCommand):
    """Seal anew what former generations sealed."""

    help = (
        "Seal anew, under each project's active pKEK, what former generations sealed, and retire those that "
        "nothing needs any more. May be killed at any time and run again, several at once; the exit code is "
        "0 only when nothing is left."
    )
    kind = KEKRun.Kind.REENCRYPT

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whose."""
        super().add_arguments(parser)
        parser.add_argument("--project", metavar="ID", help="only this project's")
        parser.add_argument("--mkek", metavar="LABEL", help="only under pKEKs that this MKEK wraps")

    def scope(self, options: dict[str, Any], now: datetime) -> Scope:  # noqa: ARG002  # Any: argparse's values
        """By project and MKEK."""
        return Scope(mkek=options["mkek"], project=options["project"])
