from dataclasses import dataclass

from django.utils.safestring import SafeString

from keepsite.readonly.cells import Tone
from keepsite.readonly.lists import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One line of a page: what it is, the value, and a word on what that means."""

    label: str
    value: SafeString | str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Facts that belong together, or a table of what hangs on the row, or both."""

    title: str
    facts: tuple[Fact, ...] = ()
    table: Table | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What a reader must see before anything else."""

    tone: Tone
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """A page about one row."""

    kind: str
    title: str
    state: SafeString | str = ""
    notice: Notice | None = None
    sections: tuple[Section, ...] = ()
