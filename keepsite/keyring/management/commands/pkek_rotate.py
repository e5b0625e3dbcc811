from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from keepsite.keyring.management.confirming import confirm
from keepsite.keyring.management.rotating import RotationCommand
from keepsite.keyring.models import KEKRun
from keepsite.keyring.rotation.runs import Preview
from keepsite.keyring.rotation.scope import Scope, days_before


class Command(RotationCommand):
    """Give projects a new pKEK, active at once."""

    help = (
        "Make a new pKEK generation for projects; it seals at once, the former one only opens. "
        "pkek_reencrypt then moves what is stored."
    )
    kind = KEKRun.Kind.ROTATE

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which projects."""
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--project", metavar="ID", help="this project")
        which.add_argument("--all", action="store_true", help="every project that has a pKEK")
        which.add_argument("--older-than-days", type=float, metavar="N", help="whose pKEK is older")
        which.add_argument(
            "--over-encryptions", type=int, metavar="N", help="whose pKEK has sealed more stored rows"
        )
        which.add_argument("--mkek", metavar="LABEL", help="whose pKEK this MKEK wraps")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        super().add_arguments(parser)

    def scope(self, options: dict[str, Any], now: datetime) -> Scope:  # Any: argparse's values
        """Keys made before now, or before so many days ago."""
        days = options["older_than_days"]
        return Scope(
            project=options["project"],
            mkek=options["mkek"],
            over_encryptions=options["over_encryptions"],
            created_before=now if days is None else days_before(now, days),
        )

    def confirm(self, preview: Preview, options: dict[str, Any]) -> None:  # Any: argparse's values
        """Every new generation means rows to seal anew."""
        confirm(f"{preview.rows} {preview.noun} will be replaced.", yes=options["yes"])
