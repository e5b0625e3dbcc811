import json
from argparse import ArgumentParser
from collections.abc import Mapping
from dataclasses import asdict

from django.core.management.base import BaseCommand

from keepsite.celery import app
from orders_app.figures import order_figures, queue_depths


class Command(BaseCommand):
    """Show how the orders are doing: what waits, since when, why, and what nobody could take."""

    help = "Show orders by state, age and project, the oldest that waits, retries, dead letters, queue depth."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The form."""
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *, json: bool, **_: object) -> None:
        """Print the figures."""
        figures = order_figures()
        depths = queue_depths(app)
        if json:
            self._print_json({**asdict(figures), "queues": depths})
            return
        waiting = figures.waiting
        self._table("Orders by state", figures.by_state)
        self._table("Waiting, by age", figures.waiting_by_age)
        self._table("Waiting, by project", figures.waiting_by_project)
        self._table("Waiting after a fault", figures.faults)
        self._table(
            "In all",
            {
                "oldest that waits, s": round(waiting.oldest_s),
                "at work": waiting.at_work,
                "paused after a fault": waiting.paused,
                "tried more than once": waiting.retried,
                "dead letters": waiting.dead_letters,
            },
        )
        if depths is None:
            self.stdout.write("Messages ready: the broker does not answer")
        else:
            self._table("Messages ready", depths)

    def _print_json(self, figures: Mapping[str, object]) -> None:
        self.stdout.write(json.dumps(figures))

    def _table(self, title: str, counts: Mapping[str, int]) -> None:
        self.stdout.write(title)
        for name, count in counts.items():
            self.stdout.write(f"  {name:<48}{count:>9}")
        if not counts:
            self.stdout.write("  none")
