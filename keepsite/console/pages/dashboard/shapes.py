"""What the dashboard is made of: everything decided, nothing left to compute for its templates."""

from dataclasses import dataclass

from django.utils.safestring import SafeString

from keepsite.keyring.console.live import LiveRun
from keepsite.readonly import Bar, Fact, Table, Tone


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something that somebody should look at; ``part`` is where."""

    tone: Tone
    sentence: str
    part: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One minute of a chart; heights in hundredths of the chart's, from the bottom up."""

    x: int
    answered: float
    refused: float
    failed: float

    @property
    def answered_y(self) -> float:
        """Where what was answered begins, from the top."""
        return 100 - self.answered

    @property
    def refused_y(self) -> float:
        """What was refused stands on it."""
        return self.answered_y - self.refused

    @property
    def failed_y(self) -> float:
        """And what failed on that."""
        return self.refused_y - self.failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Columns, and the same in words for those who do not see them."""

    columns: tuple[Column, ...]
    words: str
    since: SafeString
    until: SafeString


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a curve, in stretches between gaps; each is the ``points`` of an SVG polyline."""

    name: str
    stretches: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Lines over the same time as a chart's columns, and the same in words."""

    lines: tuple[Line, ...]
    words: str
    since: SafeString
    until: SafeString


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLine:
    """A rotation run that has not ended."""

    label: str
    url: str
    live: LiveRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One subject: its state in a word, its numbers, each a link to the list behind it.

    ``empty`` is said instead of numbers where there are none yet.
    """

    name: str
    title: str
    state: SafeString | str = ""
    facts: tuple[Fact, ...] = ()
    bars: tuple[Bar, ...] = ()
    chart: Chart | None = None
    curve: Curve | None = None
    runs: tuple[RunLine, ...] = ()
    table: Table | None = None
    note: str = ""
    empty: str = ""
    is_wide: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthMark:
    """How one part is, with where on the page it stands."""

    title: str
    name: str
    state: SafeString | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """One sentence on how things are, what else to know, and how each part is."""

    state: SafeString
    tone: Tone
    sentence: str
    remarks: tuple[Trouble, ...]
    marks: tuple[HealthMark, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something to do before the first secret is stored."""

    title: str
    command: str
    state: SafeString
    is_done: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """The whole page."""

    as_of: SafeString
    counted: SafeString
    health: Health
    steps: tuple[Step, ...]
    parts: tuple[Part, ...]
