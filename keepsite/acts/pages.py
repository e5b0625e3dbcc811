"""The page of an act as its template takes it, and the buttons that lead there."""

from dataclasses import dataclass

from keepsite.acts.forms import ReasonForm
from keepsite.readonly import Fact, Notice, Table, Tone


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """A link to an act; ``name`` is its place in the URL of a list."""

    label: str
    url: str
    tone: Tone
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActPage:
    """What will be touched, and the form that does it; no form where nothing can be done.

    ``previewed`` names the choices that the facts are about, where an act previews.
    """

    title: str
    lead: str
    notice: Notice | None
    facts: tuple[Fact, ...]
    table: Table | None
    form: ReasonForm | None
    idle: str
    ids: tuple[str, ...]
    previewed: str
    label: str
    is_destructive: bool
    back_url: str
