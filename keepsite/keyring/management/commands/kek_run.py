import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from keepsite.errors import KeepsiteError
from keepsite.identity.operators import command_principal
from keepsite.keyring.models import KEKRun
from keepsite.keyring.rotation import runs

NEWEST = 20
VERBS = {"pause": runs.pause, "resume": runs.resume, "cancel": runs.cancel}


class Command(BaseCommand):
    """``kek_run list``, ``show``, ``pause``, ``resume`` and ``cancel``."""

    help = "Watch, pause, resume and cancel rotation runs. Resuming tries again what failed, by workers."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """A verb, and of most the run."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        for verb, meaning in (
            ("list", "the newest runs"),
            ("show", "one run and what failed in it"),
            ("pause", "let a run rest after its current batch"),
            ("resume", "queue a paused or failed run again"),
            ("cancel", "end a run; what it did stays done"),
        ):
            one = verbs.add_parser(verb, help=meaning)
            one.add_argument("--json", action="store_true", help="print JSON")
            if verb != "list":
                one.add_argument("id", help="the run's id")

    def handle(self, *, verb: str, **options: Any) -> None:  # Any: argparse's values
        """Do what the verb says."""
        if verb == "list":
            newest = KEKRun.objects.order_by("-created_at")[:NEWEST]
            self._show(list(newest), as_json=options["json"])
            return
        run = KEKRun.objects.filter(id=options["id"]).first()
        if run is None:
            raise CommandError(f"There is no run {options['id']}. `kek_run list` shows the newest.")
        if verb in VERBS:
            try:
                VERBS[verb](run, actor=command_principal())
            except KeepsiteError as error:
                raise CommandError(error.public) from error
        self._show([run], as_json=options["json"])
        if verb == "show" and not options["json"]:
            for failure in run.failures.order_by("failed_at"):
                self.stdout.write(f"  {failure}")

    def _show(self, found: list[KEKRun], *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps([_told(run) for run in found]))
            return
        for run in found:
            told = _told(run)
            eta = f", {told['eta_s']} s to go" if told["eta_s"] is not None else ""
            self.stdout.write(
                f"{run.id}  {run.kind:14}  {told['state']:9}  {run.created_at:%Y-%m-%dT%H:%M:%SZ}  "
                f"by {run.started_by}: {told['done']} done, {told['left']} left, {told['failed']} failed, "
                f"{told['per_second']:.0f} per second{eta}{f'; {run.last_error}' if run.last_error else ''}"
            )


def _told(run: KEKRun) -> dict[str, Any]:  # Any: JSON values
    now = runs.progress(run)
    return {
        "run": run.id,
        "kind": run.kind,
        "scope": run.scope,
        "state": "lost" if runs.is_lost(run, now=timezone.now()) else run.state,
        "started_by": run.started_by,
        "reason": run.reason,
        "done": now.done,
        "left": now.left,
        "failed": now.failed,
        "per_second": round(now.per_second, 1),
        "eta_s": None if now.eta_s is None else round(now.eta_s),
        "last_error": run.last_error,
    }
