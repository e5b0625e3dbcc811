import json
import sys
from argparse import ArgumentParser, ArgumentTypeError
from dataclasses import asdict
from io import StringIO
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from hsm import provider
from hsm.benchmark import Measured, advice, benchmark, how_many
from hsm.errors import HSMError


def _thread_counts(text: str) -> tuple[int, ...]:
    try:
        counts = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError as error:
        raise ArgumentTypeError("numbers of threads, separated by commas, such as 1,4,8") from error
    if counts[0] < 1:
        raise ArgumentTypeError("at least one thread")
    return counts


class Command(BaseCommand):
    """Measure the operator's own HSM, in a process of its own."""

    help = "Measure every HSM member: latency and throughput per verb and number of threads."
    requires_system_checks = ()  # hsm_check says what is wrong

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take thread counts, the time of each measurement, ``--json``."""
        parser.add_argument("--threads", type=_thread_counts, default=(1, 2, 4, 8, 16), help="such as 1,4,8")
        parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
        parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        """Print the results and what follows.

        Raises:
            CommandError: a member does not serve, or has no MKEK yet.
        """
        del args
        results: list[Measured] = []
        try:
            config = provider.config_from_settings()
            total = how_many(options["threads"], len(config.members))
            with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
                task = progress.add_task("measuring", total=total)
                for result in benchmark(config, threads=options["threads"], seconds=options["seconds"]):
                    results.append(result)
                    progress.advance(task)
        except HSMError as error:
            raise CommandError(f"{type(error).__name__}: {error}") from error
        follows = advice(results, processes=config.processes)
        if options["json"]:
            measured = [asdict(result) for result in results]
            self.stdout.write(json.dumps({"results": measured, "advice": follows}, indent=2))
            return
        self._print(results)
        for sentence in follows:
            self.stdout.write(sentence)

    def _print(self, results: list[Measured]) -> None:
        table = Table()
        for heading in ("member", "verb"):
            table.add_column(heading)
        for heading in ("PKCS#11 calls", "threads", "per second", "p50 ms", "p99 ms"):
            table.add_column(heading, justify="right")
        for result in results:
            table.add_row(
                *(result.member, result.verb, str(result.calls), str(result.threads)),
                *(f"{result.per_second:.0f}", f"{result.p50_ms:.2f}", f"{result.p99_ms:.2f}"),
            )
        console = Console(record=True, file=StringIO(), width=100)
        console.print(table)
        self.stdout.write(console.export_text())
