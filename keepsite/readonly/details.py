from dataclasses import dataclass

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from keepsite.readonly.cells import Tone
from keepsite.readonly.lists import Table

LITTLE_LEFT, NEXT_TO_NONE_LEFT = 0.8, 0.95  # shares of a limit at which its bar takes another colour


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One line of a page: what it is, the value, and a word on what that means."""

    label: str
    value: SafeString | str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """How much of a limit is used; without a limit (None) no bar is drawn."""

    label: str
    used: int
    limit: int | None
    note: SafeString | str = ""

    @property
    def words(self) -> str:
        """The same for those who do not see the bar."""
        used = intcomma(self.used)
        return (
            _("%(used)s, no limit") % {"used": used}
            if self.limit is None
            else _("%(used)s of %(limit)s") % {"used": used, "limit": intcomma(self.limit)}
        )

    @property
    def low(self) -> float:
        """Up to here all is well."""
        return LITTLE_LEFT * (self.limit or 0)

    @property
    def high(self) -> float:
        """From here on there is next to no room."""
        return NEXT_TO_NONE_LEFT * (self.limit or 0)

    @property
    def is_full(self) -> bool:
        """Whether there is no room for one more."""
        return self.limit is not None and self.used >= self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of a timeline: what held, in which state it is now, from when until when."""

    label: SafeString | str
    state: SafeString | str
    since: SafeString | str
    until: SafeString | str
    note: SafeString | str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Facts that belong together, or a table of what hangs on the row, or both."""

    title: str
    facts: tuple[Fact, ...] = ()
    bars: tuple[Bar, ...] = ()
    timeline: tuple[Span, ...] = ()
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
