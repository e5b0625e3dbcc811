import json
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from keepsite.errors import InvalidInput, KeepsiteError
from keepsite.identity.operators import command_principal
from keepsite.trail.elsewhere import Comparison, compared, newest_checkpoints
from keepsite.trail.files import verify_files
from keepsite.trail.models import AuditChain, Json
from keepsite.trail.removals import Removal
from keepsite.trail.services import set_backs, tell_of_strays, verify_now
from keepsite.trail.verifying import Verdict

UNKNOWN = 2  # exit code: neither whole nor broken is known


class Command(BaseCommand):
    """Say whether the audit trail is whole, since when, and if not, what was done to it."""

    help = (
        "Verify the collected audit trail: every record, segment and checkpoint. "
        "Exit code 0: all is whole. 1: it is not, and what was found is listed. 2: it could not be verified."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What to verify besides, and how to tell."""
        parser.add_argument("--node", help="the chains of this node alone")
        parser.add_argument("--files", action="store_true", help="this host's audit files too")
        parser.add_argument(
            "--against", type=Path, metavar="FILE", help="checkpoints that were kept elsewhere, too"
        )
        parser.add_argument(
            "--checkpoints", action="store_true", help="print the newest checkpoints, to be kept elsewhere"
        )
        parser.add_argument("--json", action="store_true", dest="as_json", help="print JSON")

    def handle(
        self,
        *,
        node: str | None,
        files: bool,
        against: Path | None,
        checkpoints: bool,
        as_json: bool,
        **_: object,
    ) -> None:
        """Verify and tell."""
        try:
            if checkpoints:
                self.stdout.write(json.dumps(newest_checkpoints(), indent=2))
                return
            kept = Comparison() if against is None else compared(_read(against))
            verdicts = self._verify(node, is_quiet=as_json)
            strays = tell_of_strays()
            on_disk = verify_files(Path(settings.AUDIT_DIR)) if files else None
        except (KeepsiteError, OSError) as error:
            words = error.public if isinstance(error, KeepsiteError) else str(error)
            raise CommandError(f"Not verified: {words}", returncode=UNKNOWN) from error
        if not verdicts:
            raise CommandError(
                "Not verified: nothing was collected yet; see audit_collect.", returncode=UNKNOWN
            )
        told = {
            "is_whole": all(verdict.is_whole for verdict in verdicts) and not (strays or kept.contradictions),
            "chains": [_told(verdict) for verdict in verdicts],
            "findings": [*strays, *kept.contradictions],
            "notes": [*kept.beyond_retention],
        }
        if on_disk is not None:
            told["files"] = {
                "chain": on_disk.chain.id,
                "segments": on_disk.segments,
                "absent": on_disk.absent,
                "uncompared": on_disk.uncompared,
                "findings": on_disk.findings,
            }
            told["is_whole"] = told["is_whole"] and not on_disk.findings
        self.stdout.write(json.dumps(told, indent=2) if as_json else _in_words(told))
        if not told["is_whole"]:
            sys.exit(1)

    def _verify(self, node: str | None, *, is_quiet: bool) -> list[Verdict]:
        chains = AuditChain.objects.order_by("node", "began_at")
        if node is not None:
            chains = chains.filter(node=node)
            if not chains.exists():
                raise InvalidInput(f"There is no chain of a node {node!r}.")
        known = set_backs()
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=is_quiet or not sys.stderr.isatty(),
        )
        with bar:
            verdicts = []
            for chain in chains:
                task = bar.add_task(f"{chain.node}, segments", total=chain.segments.count())
                verdicts.append(
                    verify_now(
                        chain,
                        by=command_principal().user_id or "",
                        now=timezone.now(),
                        known=known,
                        told=lambda number, task=task: bar.update(task, completed=number),  # type: ignore[misc]  # a default
                    )
                )
            return verdicts


def _read(path: Path) -> object:
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise InvalidInput(f"{path} is not JSON.") from error


def _told(verdict: Verdict) -> Json:
    return {
        "chain": verdict.chain.id,
        "node": verdict.chain.node,
        "is_whole": verdict.is_whole,
        "whole_since": verdict.whole_since.isoformat() if verdict.whole_since else None,
        "sealed_until": verdict.sealed_until.isoformat() if verdict.sealed_until else None,
        "segments": verdict.segments,
        "records": verdict.records,
        "unsealed_segments": verdict.unsealed_segments,
        "removed": _removed(verdict.removal),
        "findings": [finding.written() for finding in verdict.findings],
    }


def _removed(removal: Removal | None) -> Json | None:
    """What the retention removed, on purpose, before ``whole_since``."""
    if removal is None:
        return None
    return {
        "at": removal.removed_at,
        "retention_days": removal.days,
        "segments": removal.number,
        "records": removal.records,
    }


def _in_words(told: Json) -> str:
    lines = []
    for chain in told["chains"]:
        state = "whole" if chain["is_whole"] else "NOT WHOLE"
        removed = chain["removed"]
        which = (
            "before it" if chain["is_whole"] else f"up to segment {removed['segments']}" if removed else ""
        )
        on_purpose = (
            f"records {which} were removed on purpose on {removed['at']} by the retention of"
            f" {removed['retention_days']} days ({removed['records']} in all), "
            if removed
            else ""
        )
        lines.append(
            f"{chain['node']}: {state}; {_since(chain)}, {on_purpose}"
            f"sealed until {chain['sealed_until'] or 'never'}; "
            f"{chain['records']} records in {chain['segments']} segments, "
            f"{chain['unsealed_segments']} not sealed yet"
        )
        lines += [f"  {finding['words']}" for finding in chain["findings"]]
    if "files" in told:
        files = told["files"]
        lines.append(f"files here: {files['segments']} segments compared, {_days(files['absent'])} not here")
        if files["uncompared"]:
            lines.append(f"  {_days(files['uncompared'])} older than what the retention keeps")
        lines += [f"  {words}" for words in files["findings"]]
    lines += [*told["findings"], *told["notes"]]
    return "\n".join(lines)


def _since(chain: Json) -> str:
    if chain["whole_since"]:
        return f"whole since {chain['whole_since']}"
    return "nothing to date it by" if chain["is_whole"] else "no stretch up to now is whole"


def _days(files: Sequence[str]) -> str:
    return "1 day is" if len(files) == 1 else f"{len(files)} days are"
