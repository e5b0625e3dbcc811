"""Acts of deletion, the same for every noun: delete with a way back, bring it back, delete it for good."""

import time
from abc import abstractmethod
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any, Protocol

from django.conf import settings
from django.db.models import Q
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from keepsite import audit
from keepsite.acts.act import Act, Outcome, Rows, one_by_one
from keepsite.readonly import (
    Fact,
    Heading,
    Notice,
    Row,
    Table,
    Tone,
    breakable,
    detail_url,
    moment,
    pill,
    text,
    written,
)
from keepsite.translation import gettext_lazy

PURGE_BUDGET_S = 20.0  # below the patience of balancers; what is left is told
HEADINGS = tuple(
    Heading(label=label)
    for label in (
        gettext_lazy("Name"),
        gettext_lazy("Project"),
        gettext_lazy("Created"),
        gettext_lazy("Deleted"),
    )
)
KINDS = {  # what purges count, by its name in commands
    "acl users": gettext_lazy("ACL users"),
    "ACLs": gettext_lazy("ACLs"),
    "container consumers": gettext_lazy("container consumers"),
    "containers": gettext_lazy("containers"),
    "orders": gettext_lazy("orders"),
    "container secrets": gettext_lazy("container secrets"),
    "order passphrases": gettext_lazy("order passphrases"),
    "payloads": gettext_lazy("payloads"),
    "secret metadata": gettext_lazy("secret metadata"),
    "project keys": gettext_lazy("project keys"),
    "secret consumers": gettext_lazy("secret consumers"),
    "secrets": gettext_lazy("secrets"),
    "transport keys": gettext_lazy("transport keys"),
}
DELETED_WORDS = {
    "recoverable": gettext_lazy("deleted, recoverable"),
    "overdue": gettext_lazy("deleted, past recovery"),
    "deleted": gettext_lazy("deleted, either way"),
}


def window() -> timedelta:
    """How long what was deleted can be brought back."""
    return timedelta(days=settings.RECOVERY_DAYS)


def deleted_states(now: datetime) -> dict[str, Q]:
    """The states of deleted rows, for ``ReadOnlyAdmin.states``: all of them, and the two they fall into."""
    return {
        "recoverable": Q(deleted_at__gte=now - window()),
        "overdue": Q(deleted_at__lt=now - window()),
        "deleted": Q(deleted_at__isnull=False),
    }


def deleted_pill(*, is_recoverable: bool) -> SafeString:
    """The state of a deleted row."""
    if not is_recoverable:
        return pill(_("Deleted"), Tone.QUIET)
    return format_html('{} <span class="note">{}</span>', pill(_("Deleted"), Tone.WAITING), _("recoverable"))


def deleted_notice(row: Any, *, noun: str, is_recoverable: bool) -> Notice:  # Any: a deleted row
    """What the page of a deleted row says first."""
    if is_recoverable:
        until = row.deleted_at + window()
        outlook = _("It can be restored until %(until)s.") % {"until": written(until)}
    else:
        outlook = _("It cannot be restored any more; it stays until the next purge.")
    deleted = _("This %(noun)s is deleted: no client sees it.") % {"noun": noun}
    return Notice(tone=Tone.QUIET, message=f"{deleted} {outlook}")


def chosen_table(rows: Rows) -> Table:
    """The rows an act is about."""
    return Table(
        caption=_("What it is about"),
        headings=HEADINGS,
        rows=tuple(
            Row.of(
                HEADINGS,
                detail_url(type(row), row.pk),
                breakable(str(row)),
                breakable(str(row.project)),
                moment(row.created_at),
                moment(row.deleted_at, absent=_("not deleted")),
            )
            for row in rows
        ),
    )


class Purging(Protocol):
    """What a purge is about, as ``secrets_app.services.Purging`` tells it."""

    def left(self) -> dict[str, int]:
        """How many objects of each kind are due."""

    def going_along(self) -> dict[str, int]:
        """How many rows go with them."""


class Purge(Protocol):
    """The service that deletes for good."""

    def __call__(
        self,
        purging: Any,  # Any: its own Purging, which this layer does not know
        /,
        *,
        actor: audit.Actor,
        done: Callable[[str, int], None],
        is_enough: Callable[[], bool],
    ) -> None:
        """Delete all that is due, batch by batch, until ``is_enough``."""


class DeleteRows(Act):
    """Delete rows as their clients would, each by itself; the recovery window begins."""

    name = "withdraw"
    label = gettext_lazy("Delete")
    scope = "many"
    tone = Tone.BAD
    is_destructive = True

    def applies_to(self, row: Any, *, now: datetime) -> bool:  # noqa: ARG002  # Any: a row of the noun
        """What is deleted is not deleted again."""
        return row.deleted_at is None

    def table(self, rows: Rows) -> Table:
        """Which."""
        return chosen_table(rows)

    @abstractmethod
    def withdraw(self, row: Any, *, actor: audit.Actor, reason: str) -> None:  # Any: a row of the noun
        """Call the service, which deletes it in a transaction of its own.

        Raises:
            KeepsiteError: it is left as it was.
        """

    @abstractmethod
    def words(self, rows: Rows, done: int) -> str:
        """What has come of it, ``done`` being how many are deleted, at least one."""

    def perform(
        self, rows: Rows, *, actor: audit.Actor, wanted: dict[str, Any]
    ) -> Outcome:  # Any: form values
        """Each in a transaction of its own."""
        done, refused = one_by_one(rows, lambda row: self.withdraw(row, actor=actor, reason=wanted["reason"]))
        return Outcome(done=self.words(rows, done) if done else "", refused=refused)


class RestoreRows(Act):
    """Bring deleted rows back, each by itself."""

    name = "restore"
    label = gettext_lazy("Restore")
    scope = "many"

    def __init__(self, *, noun: str, nouns: str, permission: str, restore: Callable[..., object]) -> None:
        self._noun, self._nouns = noun, nouns
        self.permission = permission  # type: ignore[misc]  # an act of its own per noun
        self._restore = restore

    def applies_to(self, row: Any, *, now: datetime) -> bool:  # Any: a row of the noun
        """Deleted, and the window lasts."""
        expires_at = getattr(row, "expires_at", None)
        return (
            row.deleted_at is not None
            and row.deleted_at >= now - window()
            and (expires_at is None or expires_at > now)
        )

    def title(self, rows: Rows) -> str:
        """What the page asks."""
        return (
            _("Restore the %(noun)s %(row)s") % {"noun": self._noun, "row": rows[0]}
            if len(rows) == 1
            else _("Restore %(count)s %(nouns)s") % {"count": len(rows), "nouns": self._nouns}
        )

    def lead(self, rows: Rows) -> str:  # noqa: ARG002  # the same for all
        """What comes back."""
        return _(
            "Clients see again at once what is restored, with all that went with it. Quotas do not matter."
        )

    def table(self, rows: Rows) -> Table:
        """Which."""
        return chosen_table(rows)

    def perform(
        self, rows: Rows, *, actor: audit.Actor, wanted: dict[str, Any]
    ) -> Outcome:  # Any: form values
        """Each in a transaction of its own."""
        done, refused = one_by_one(
            rows, lambda row: self._restore(row.pk, actor=actor, reason=wanted["reason"])
        )
        words = (
            _("The %(noun)s %(row)s is back.") % {"noun": self._noun, "row": rows[0]}
            if len(rows) == 1
            else _("%(count)s %(nouns)s are back.") % {"count": done, "nouns": self._nouns}
        )
        return Outcome(done=words if done else "", refused=refused)


class _Purging(Act):
    """What both ways to purge have in common."""

    label = gettext_lazy("Purge")
    tone = Tone.BAD
    is_destructive = True
    _noun: str
    _nouns: str
    _purge: Purge

    def __init__(self, *, noun: str, nouns: str, permission: str, purge: Purge) -> None:
        self._noun, self._nouns = noun, nouns
        self.permission = permission  # type: ignore[misc]  # an act of its own per noun
        self._purge = purge

    @abstractmethod
    def _purging(self, rows: Rows, reason: str) -> Any:  # Any: the service's Purging
        """What the purge of these rows is about."""

    def lead(self, rows: Rows) -> str:  # noqa: ARG002  # the same for all
        """What that means."""
        return _(
            "What is purged is deleted for good, payloads included: nobody can bring it back, short of a"
            " backup of the database."
        )

    def facts(self, rows: Rows) -> tuple[Fact, ...]:
        """How many rows of which kind go."""
        purging: Purging = self._purging(rows, "")
        own = (Fact(label=_label(noun), value=text(count)) for noun, count in purging.left().items())
        along = (
            Fact(label=_label(noun), value=text(count), note=_("Goes along."))
            for noun, count in purging.going_along().items()
            if count
        )
        return (*own, *along)

    def perform(
        self, rows: Rows, *, actor: audit.Actor, wanted: dict[str, Any]
    ) -> Outcome:  # Any: form values
        """In small transactions, until all is gone or the time is over."""
        purging = self._purging(rows, wanted["reason"])
        gone: dict[str, int] = {}
        ends_at = time.monotonic() + PURGE_BUDGET_S
        self._purge(
            purging,
            actor=actor,
            done=lambda noun, count: gone.update({noun: gone.get(noun, 0) + count}),
            is_enough=lambda: time.monotonic() >= ends_at,
        )
        left = sum(purging.left().values())
        words = ", ".join(f"{count} {KINDS.get(noun, noun)}" for noun, count in gone.items()) or _("nothing")
        refused = (
            (_("%(left)s are left. Purge once more, or run manage.py purge_deleted.") % {"left": left},)
            if left
            else ()
        )
        return Outcome(done=_("Purged for good: %(rows)s.") % {"rows": words}, refused=refused)


class PurgeRows(_Purging):
    """Delete rows for good that were deleted, without waiting for the end of their window."""

    name = "purge"
    scope = "many"

    def __init__(
        self,
        *,
        noun: str,
        nouns: str,
        permission: str,
        purge: Purge,
        chosen: Callable[[Collection[str], str], Any],  # Any: the service's Purging
    ) -> None:
        super().__init__(noun=noun, nouns=nouns, permission=permission, purge=purge)
        self._chosen = chosen

    def applies_to(self, row: Any, *, now: datetime) -> bool:  # noqa: ARG002  # Any: a row of the noun
        """What is not deleted must be deleted first."""
        return row.deleted_at is not None

    def title(self, rows: Rows) -> str:
        """What the page asks."""
        return (
            _("Purge the %(noun)s %(row)s") % {"noun": self._noun, "row": rows[0]}
            if len(rows) == 1
            else _("Purge %(count)s %(nouns)s") % {"count": len(rows), "nouns": self._nouns}
        )

    def table(self, rows: Rows) -> Table:
        """Which."""
        return chosen_table(rows)

    def _purging(self, rows: Rows, reason: str) -> Any:  # Any: the service's Purging
        return self._chosen([row.pk for row in rows], reason)


class PurgeOverdue(_Purging):
    """Delete everything for good whose recovery window is over."""

    name = "purge-overdue"
    label = gettext_lazy("Purge all past recovery")
    scope = "list"

    def __init__(
        self,
        *,
        noun: str,
        nouns: str,
        permission: str,
        purge: Purge,
        due: Callable[[datetime, str], Any],  # Any: the service's Purging
    ) -> None:
        super().__init__(noun=noun, nouns=nouns, permission=permission, purge=purge)
        self._due = due

    def title(self, rows: Rows) -> str:  # noqa: ARG002  # there are none
        """What the page asks."""
        return _("Purge all %(nouns)s deleted more than %(days)s days ago") % {
            "nouns": self._nouns,
            "days": settings.RECOVERY_DAYS,
        }

    def phrase(self, rows: Rows) -> str:  # noqa: ARG002  # there are none
        """What must be typed."""
        return _("purge all %(nouns)s past recovery") % {"nouns": self._nouns}

    def is_idle(self, rows: Rows) -> bool:
        """Nothing is due."""
        return not any(self._purging(rows, "").left().values())

    def _purging(self, rows: Rows, reason: str) -> Any:  # noqa: ARG002  # Any: the service's Purging
        return self._due(timezone.now() - window(), reason)


def _label(noun: str) -> str:
    words = str(KINDS.get(noun, noun))
    return words if words[:1].isupper() else words[:1].upper() + words[1:]
