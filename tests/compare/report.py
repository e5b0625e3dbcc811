"""What is shown: how far the replay is, and what it found."""

import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from tests.compare.differing import Difference
from tests.compare.known import KNOWN, ON_EVERY_ANSWER, explained
from tests.compare.replay import Outcome


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Progress:
    """A bar on a terminal, elsewhere a line per scenario; on standard error, so that JSON stays clean."""

    def __init__(self, title: str, total: int, *, what: str = "requests") -> None:
        self._title, self._total, self._what = title, total, what
        self._done = 0
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[name]}"),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )

    def __enter__(self) -> Self:
        self._bars.start()
        self._task = self._bars.add_task(self._title, total=self._total, name="")
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def advance(self, count: int, name: str) -> None:
        """So many more are done, of what ``name`` says."""
        self._done += count
        self._bars.update(self._task, advance=count, name=name)
        if self._bars.disable:
            sys.stderr.write(f"{self._title}: {name} ({self._done} of {self._total} {self._what})\n")


@dataclass(slots=True)
class Comparison:
    """Every request compared so far."""

    release: str = ""
    equal: int = 0
    known: Counter[str] = field(default_factory=Counter)
    known_requests: int = 0
    shown: list[tuple[str, str, Outcome]] = field(default_factory=list)
    unexpected: list[tuple[str, Outcome, list[Difference]]] = field(default_factory=list)

    def add(self, role_set: str, outcomes: list[Outcome]) -> None:
        """Sort the outcomes of a scenario: equal, different as known, different."""
        for outcome in outcomes:
            ids, rest = explained(outcome, KNOWN)
            if rest:
                self.unexpected.append((role_set, outcome, rest))
            elif ids - {ON_EVERY_ANSWER}:
                self.known_requests += 1
                self.known.update(ids - {ON_EVERY_ANSWER})
                self.shown.append((role_set, ", ".join(sorted(ids)), outcome))
            else:
                self.equal += 1

    @property
    def requests(self) -> int:
        """How many were replayed to each side."""
        return self.equal + self.known_requests + len(self.unexpected)

    @property
    def unseen(self) -> list[str]:
        """Known differences that no request showed."""
        return sorted({wanted.id for wanted in KNOWN} - {*self.known, ON_EVERY_ANSWER})

    def as_text(self, *, verbose: bool) -> str:
        """For people."""
        lines = [
            f"{self.requests} requests to Barbican {self.release} and to Keepsite, Barbican's answer first:"
        ]
        if verbose:
            lines += [
                _shown(role_set, outcome, outcome.differences, ids) for role_set, ids, outcome in self.shown
            ]
        lines += [
            _shown(role_set, outcome, rest, "unexpected") for role_set, outcome, rest in self.unexpected
        ]
        lines += [
            "",
            f"{self.equal:>6}  answered alike",
            f"{self.known_requests:>6}  differ as docs/api/differences.md says:",
        ]
        reasons = {wanted.id: wanted.reason for wanted in KNOWN}
        lines += [f"{count:>12}  {name}: {reasons[name]}" for name, count in sorted(self.known.items())]
        lines += [f"{len(self.unexpected):>6}  differ otherwise"]
        if self.unseen:
            lines += [f"Not seen in this run: {', '.join(self.unseen)}"]
        return "\n".join(lines)

    def as_json(self, speeds: list[object]) -> str:
        """For programs."""
        return json.dumps(
            {
                "barbican": self.release,
                "requests": self.requests,
                "equal": self.equal,
                "known": dict(sorted(self.known.items())),
                "known_requests": self.known_requests,
                "unseen": self.unseen,
                "unexpected": [
                    {
                        "role_set": role_set,
                        "scenario": outcome.scenario,
                        "request": outcome.step.label,
                        "differences": [str(difference) for difference in rest],
                    }
                    for role_set, outcome, rest in self.unexpected
                ],
                "speeds": [speed.as_dict() for speed in speeds],
            },
            indent=2,
        )


def _shown(role_set: str, outcome: Outcome, differences: list[Difference], title: str) -> str:
    head = f"[{title}] {role_set} roles, {outcome.scenario}: {outcome.step.label}"
    return "\n".join([head, *(f"    {difference}" for difference in differences)])
