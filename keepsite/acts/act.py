"""One thing that operators may do, as its page needs to know it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from django.utils.translation import gettext as _

from keepsite import audit
from keepsite.acts.forms import ReasonForm
from keepsite.errors import KeepsiteError, Unavailable
from keepsite.readonly import Fact, Table, Tone

TYPEABLE_CHARS = 60
Rows = Sequence[Any]  # Any: each act narrows the rows to its model


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of an act, in words; ``refused`` says of each row that was left alone why.

    With a ``template``, its page is the answer to this very request, for what may be
    shown once; without, the words stand on the page at ``url``, or else on the one that
    the operator came from.
    """

    done: str
    refused: tuple[str, ...] = ()
    template: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)  # Any: template values
    url: str = ""


class Act(ABC):
    """A button, the page behind it, and the service that page calls.

    ``scope`` says what it is about: one row ("one"), one or several that were ticked in
    the list ("many"), or the list as a whole ("list").  Destructive acts ask for a phrase
    typed out and for a log-in that is not long ago.  One that ``previews`` answers its form
    with what the choices made there would touch, and is done when the same are sent again.
    """

    name: ClassVar[str]  # in its URL
    label: ClassVar[str]  # on its button
    permission: ClassVar[str]  # "secrets_app.restore_secret"
    scope: ClassVar[str] = "one"
    tone: ClassVar[Tone] = Tone.QUIET
    is_destructive: ClassVar[bool] = False
    needs_recent_login: ClassVar[bool] = False  # destructive ones do anyway
    previews: ClassVar[bool] = False
    form_class: ClassVar[type[ReasonForm]] = ReasonForm
    linked_fields: ClassVar[frozenset[str]] = frozenset()  # of its form, which a link may fill in
    can_wait: ClassVar[bool] = True  # for a second person's approval; not what shows something once

    def for_page(self) -> "Act":
        """The act as one request uses it: one that keeps what it looked up gives a new one of itself."""
        return self

    def is_open_to(self, user: Any, row: Any) -> bool:  # noqa: ARG002  # Any: Django's user, the act's model
        """Whether this operator, who has the permission, may do it to ``row``."""
        return True

    def applies_to(self, row: Any, *, now: datetime) -> bool:  # noqa: ARG002  # Any: the act's model
        """Whether it makes sense for ``row`` now; the service has the last word."""
        return True

    @abstractmethod
    def title(self, rows: Rows) -> str:
        """What the page asks: "Restore 3 secrets"."""

    def lead(self, rows: Rows) -> str:  # noqa: ARG002  # for those that it depends on
        """What it means, in a sentence or two."""
        return ""

    def facts(self, rows: Rows) -> tuple[Fact, ...]:  # noqa: ARG002  # for those that it depends on
        """What it will touch, before it does."""
        return ()

    def table(self, rows: Rows) -> Table | None:  # noqa: ARG002  # for those that it depends on
        """The rows themselves, where there are several."""
        return None

    def is_idle(self, rows: Rows) -> bool:
        """Whether there is nothing it could do, so that no form is offered."""
        return self.scope != "list" and not rows

    def idle_words(self, rows: Rows) -> str:  # noqa: ARG002  # for those that can say why
        """What the page says where no form is offered."""
        return _("There is nothing to do here.")

    def phrase(self, rows: Rows) -> str:
        """What must be typed for a destructive act: the row's name, or the number of rows.

        A name that is hard to type gives way to the row's id.
        """
        if len(rows) != 1:
            return f"{self.label.lower()} {len(rows)}"
        name = " ".join(str(rows[0]).split())
        is_typeable = name.isascii() and name.isprintable() and 1 <= len(name) <= TYPEABLE_CHARS
        return name if is_typeable else str(rows[0].pk)

    def initial(self, rows: Rows) -> dict[str, Any]:  # noqa: ARG002  # Any: form values
        """What its form starts with."""
        return {}

    def preview(self, rows: Rows, *, actor: audit.Actor, wanted: dict[str, Any]) -> tuple[Fact, ...]:  # noqa: ARG002  # Any: form values
        """What it would touch with these choices; nothing changes.

        Raises:
            KeepsiteError: it cannot be done, and its words say why.
        """
        return ()

    @abstractmethod
    def perform(self, rows: Rows, *, actor: audit.Actor, wanted: dict[str, Any]) -> Outcome:
        """Do it; ``wanted`` is what the form took, the reason among it.

        Raises:
            KeepsiteError: nothing was done, and its words say why.
        """


def one_by_one(rows: Rows, act: Callable[[Any], object]) -> tuple[int, tuple[str, ...]]:
    """Do ``act`` to each row by itself; how many took it, and why the others did not.

    Raises:
        Unavailable: a part is away; rows before this one are done.
    """
    done = 0
    refused: list[str] = []
    for row in rows:
        try:
            act(row)
        except Unavailable:
            raise
        except KeepsiteError as error:
            refused.append(f"{row}: {error.public}")
        else:
            done += 1
    return done, tuple(refused)
