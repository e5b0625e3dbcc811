import json as json_module
import sys
from argparse import ArgumentParser
from dataclasses import asdict

from django.core.management.base import BaseCommand

from keepsite.keyring.rotation.status import KEKStatus, kek_status


class Command(BaseCommand):
    """Where MKEKs, pKEKs and what they seal stand."""

    help = "Show MKEKs, pKEK generations and what rotations have left; exit code 0 only when nothing is."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How to print it."""
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *, json: bool, **_: object) -> None:
        """Print, and leave with 1 if a rotation is not finished."""
        status = kek_status()
        if json:
            self.stdout.write(_as_json(status))
        else:
            self._table(status)
        if status.left:
            sys.exit(1)

    def _table(self, status: KEKStatus) -> None:
        self.stdout.write(f"{'MKEK':32} {'state':9} {'KCV':7} {'template':10} {'pKEKs':>8}  generated")
        for mkek in status.mkeks:
            self.stdout.write(
                f"{mkek.label:32} {mkek.state:9} {mkek.kcv or '-':7} {mkek.template:10} {mkek.needed:>8}  "
                f"{mkek.created_at:%Y-%m-%d}"
            )
        self.stdout.write(", ".join(f"{count} pKEKs {state}" for state, count in status.pkeks.items()))
        if status.oldest_active_at is not None:
            self.stdout.write(f"oldest active pKEK of {status.oldest_active_at:%Y-%m-%d}")
        self.stdout.write(f"left to rewrap: {status.pkeks_left} pKEKs")
        for noun, count in status.rows_left.items():
            self.stdout.write(f"left to seal anew: {count} ({noun})")
        self.stdout.write(f"runs that have not ended: {status.open_runs}")


def _as_json(status: KEKStatus) -> str:
    return json_module.dumps(asdict(status), default=str)
