"""How a command shows a run: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from keepsite.keyring.models import KEKRun
from keepsite.keyring.rotation.runs import progress

LINE_EVERY_S = 5.0


class Watched:
    """Shows each page of a run on standard error; ``is_quiet`` shows nothing."""

    def __init__(self, run: KEKRun, *, noun: str, is_quiet: bool) -> None:
        self._is_quiet = is_quiet
        self._has_bar = not is_quiet and sys.stderr.isatty()
        self._noun = noun
        self._told_at = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:.0f}/s"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not self._has_bar,
        )
        self._task = self._bar.add_task(noun, total=run.rows_done + run.rows_left, rate=0.0)

    def tell(self, run: KEKRun) -> None:
        """Show how far it is."""
        now = progress(run)
        if self._has_bar:
            self._bar.update(self._task, completed=now.done, total=now.done + now.left, rate=now.per_second)
        elif not self._is_quiet and time.monotonic() - self._told_at >= LINE_EVERY_S:
            self._told_at = time.monotonic()
            eta = f", {now.eta_s:.0f} s to go" if now.eta_s is not None else ""
            sys.stderr.write(
                f"{self._noun}: {now.done} done, {now.left} left, {now.failed} failed, "
                f"{now.per_second:.0f} per second{eta}\n"
            )
            sys.stderr.flush()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
