"""What operators do with orders in the console."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from keepsite import audit
from keepsite.acts import Act, Outcome, ReasonForm, one_by_one
from keepsite.acts.recovery import DeleteRows, PurgeOverdue, PurgeRows, RestoreRows
from keepsite.readonly import Fact, Heading, Row, Table, Tone, breakable, detail_url, moment, short_id, text
from keepsite.translation import gettext_lazy
from orders_app import dead_letters, recovery
from orders_app.interventions import LONGEST_REASON_CHARS, cancel_order, retry_order
from orders_app.models import DeadLetter, Order
from orders_app.services import withdraw_order
from orders_app.words import STATUSES
from secrets_app.services import Purging, chosen_in_console, deleted_before, purge

ORDER_HEADINGS = tuple(
    Heading(label=label)
    for label in (
        gettext_lazy("Order"),
        gettext_lazy("Project"),
        gettext_lazy("State"),
        gettext_lazy("Why"),
        gettext_lazy("Placed"),
    )
)
LETTER_HEADINGS = tuple(
    Heading(label=label)
    for label in (
        gettext_lazy("Dead letter"),
        gettext_lazy("Task"),
        gettext_lazy("Reason"),
        gettext_lazy("Arrived"),
    )
)


class ShortReasonForm(ReasonForm):
    """A reason that also fits into the order, where its client reads it."""

    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=LONGEST_REASON_CHARS,
        help_text=gettext_lazy(
            "Its client reads it in the order's error; it is kept in the audit trail too."
        ),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


class RetryOrders(Act):
    """Have failed orders made after all, and waiting ones tried at once."""

    name = "retry"
    label = gettext_lazy("Retry")
    permission = "orders_app.retry_order"
    scope = "many"

    def applies_to(self, row: Order, *, now: datetime) -> bool:
        """It failed, or waits and no worker is at it."""
        is_free = row.lease_until is None or row.lease_until < now
        return row.deleted_at is None and (
            row.status == Order.Status.ERROR or (row.status == Order.Status.PENDING and is_free)
        )

    def title(self, rows: Any) -> str:  # Any: orders
        """What the page asks."""
        return (
            _("Retry the %(row)s") % {"row": rows[0]}
            if len(rows) == 1
            else ngettext("Retry %(count)s orders", "Retry %(count)s orders", len(rows))
            % {"count": len(rows)}
        )

    def lead(self, rows: Any) -> str:  # noqa: ARG002  # Any: orders
        """What that means."""
        return _(
            "A failed order waits again, with all its attempts before it; one that waits out a pause is tried"
            " at once. A pair whose pass phrase went when it failed stays failed: its client places it anew."
        )

    def table(self, rows: Any) -> Table:  # Any: orders
        """Which."""
        return _orders(rows)

    def perform(
        self, rows: Any, *, actor: audit.Actor, wanted: dict[str, Any]
    ) -> Outcome:  # Any: form values
        """Each by itself."""
        done, refused = one_by_one(
            rows, lambda row: retry_order(row.pk, actor=actor, reason=wanted["reason"][:LONGEST_REASON_CHARS])
        )
        words = _told(
            rows,
            done,
            one=_("The %(row)s is handed out again."),
            several=ngettext(
                "%(count)s order is handed out again.", "%(count)s orders are handed out again.", done
            ),
        )
        return Outcome(done=words, refused=refused)


class CancelOrders(Act):
    """End waiting orders with an error that their clients read."""

    name = "cancel"
    label = gettext_lazy("Cancel")
    permission = "orders_app.cancel_order"
    scope = "many"
    tone = Tone.BAD
    is_destructive = True
    form_class = ShortReasonForm

    def applies_to(self, row: Order, *, now: datetime) -> bool:  # noqa: ARG002  # whenever
        """It waits, in a worker's hands or not."""
        return row.deleted_at is None and row.status == Order.Status.PENDING

    def title(self, rows: Any) -> str:  # Any: orders
        """What the page asks."""
        return (
            _("Cancel the %(row)s") % {"row": rows[0]}
            if len(rows) == 1
            else ngettext("Cancel %(count)s orders", "Cancel %(count)s orders", len(rows))
            % {"count": len(rows)}
        )

    def lead(self, rows: Any) -> str:  # noqa: ARG002  # Any: orders
        """What that means."""
        return _(
            "It ends with an error that says who ended it and why; a worker that is at it keeps nothing."
            " A pass phrase that came with it is forgotten."
        )

    def table(self, rows: Any) -> Table:  # Any: orders
        """Which."""
        return _orders(rows)

    def perform(
        self, rows: Any, *, actor: audit.Actor, wanted: dict[str, Any]
    ) -> Outcome:  # Any: form values
        """Each by itself."""
        done, refused = one_by_one(
            rows, lambda row: cancel_order(row.pk, actor=actor, reason=wanted["reason"])
        )
        words = _told(
            rows,
            done,
            one=_("The %(row)s is cancelled."),
            several=ngettext("%(count)s order is cancelled.", "%(count)s orders are cancelled.", done),
        )
        return Outcome(done=words, refused=refused)


class DeleteOrders(DeleteRows):
    """Delete orders; what they made stays."""

    permission = "orders_app.delete_order"

    def title(self, rows: Any) -> str:  # Any: orders
        """What the page asks."""
        return (
            _("Delete the %(row)s") % {"row": rows[0]}
            if len(rows) == 1
            else ngettext("Delete %(count)s order", "Delete %(count)s orders", len(rows))
            % {"count": len(rows)}
        )

    def lead(self, rows: Any) -> str:  # noqa: ARG002  # Any: orders
        """What that means, of those that still wait too."""
        return _(
            "No client sees it from then on; what it made stays. It can be restored here for %(days)s days,"
            " then it is purged. One that still waits is never made, and cannot be restored: its client"
            " places it anew."
        ) % {"days": settings.RECOVERY_DAYS}

    def facts(self, rows: Any) -> tuple[Fact, ...]:  # Any: orders
        """How many are lost for good."""
        waiting = sum(row.status == Order.Status.PENDING for row in rows)
        return (
            Fact(
                label=_("Still waiting"),
                value=text(waiting),
                note=_("These cannot be restored. To end them with a word to their clients, cancel them."),
            ),
        )

    def table(self, rows: Any) -> Table:  # Any: orders
        """Which."""
        return _orders(rows)

    def withdraw(self, row: Any, *, actor: audit.Actor, reason: str) -> None:  # Any: an order
        """One of them."""
        withdraw_order(row.pk, actor=actor, reason=reason)

    def words(self, rows: Any, done: int) -> str:  # Any: orders
        """What has come of it."""
        return _told(
            rows,
            done,
            one=_("The %(row)s is deleted."),
            several=ngettext("%(count)s order is deleted.", "%(count)s orders are deleted.", done),
        )


class RestoreOrders(RestoreRows):
    """Bring ended orders back; one that was deleted while it waited stays deleted."""

    def applies_to(self, row: Any, *, now: datetime) -> bool:  # Any: an order
        """As the service has it."""
        return super().applies_to(row, now=now) and row.status in recovery.FINISHED


class _Settle(Act):
    """What both ways to settle a dead letter have in common."""

    scope = "many"

    def applies_to(self, row: DeadLetter, *, now: datetime) -> bool:  # noqa: ARG002  # whenever
        """Nobody has settled it."""
        return row.state == DeadLetter.State.KEPT

    def title(self, rows: Any) -> str:  # Any: dead letters
        """What the page asks."""
        what = (
            _("the %(row)s") % {"row": rows[0]}
            if len(rows) == 1
            else ngettext("%(count)s dead letters", "%(count)s dead letters", len(rows))
            % {"count": len(rows)}
        )
        return f"{self.label} {what}"

    def table(self, rows: Any) -> Table:  # Any: dead letters
        """Which."""
        return Table(
            caption=_("What it is about"),
            headings=LETTER_HEADINGS,
            rows=tuple(
                Row.of(
                    LETTER_HEADINGS,
                    detail_url(DeadLetter, row.pk),
                    short_id(row.pk),
                    breakable(row.task or _("none named")),
                    text(row.reason),
                    moment(row.arrived_at),
                )
                for row in rows
            ),
        )


class ReplayLetters(_Settle):
    """Put messages back into the queue they came from."""

    name = "replay"
    label = gettext_lazy("Replay")
    permission = "orders_app.replay_deadletter"

    def applies_to(self, row: DeadLetter, *, now: datetime) -> bool:
        """It was kept whole, and was to a worker."""
        return super().applies_to(row, now=now) and dead_letters.is_replayable(row)

    def lead(self, rows: Any) -> str:  # noqa: ARG002  # Any: dead letters
        """What that means."""
        return _(
            "A relay puts it back within seconds. A release that still cannot take it puts it aside again;"
            " an order that is done is not done twice."
        )

    def perform(
        self, rows: Any, *, actor: audit.Actor, wanted: dict[str, Any]
    ) -> Outcome:  # Any: form values
        """Each by itself."""
        done, refused = one_by_one(
            rows, lambda row: dead_letters.replay(row.pk, actor=actor, reason=wanted["reason"])
        )
        words = _told(
            rows,
            done,
            one=_("The %(row)s is on the way back."),
            several=ngettext(
                "%(count)s dead letter is on the way back.",
                "%(count)s dead letters are on the way back.",
                done,
            ),
        )
        return Outcome(done=words, refused=refused)


class DiscardLetters(_Settle):
    """Note that nothing is to be done about messages."""

    name = "discard"
    label = gettext_lazy("Discard")
    permission = "orders_app.discard_deadletter"
    tone = Tone.BAD
    is_destructive = True

    def lead(self, rows: Any) -> str:  # noqa: ARG002  # Any: dead letters
        """What that means."""
        return _(
            "It cannot be replayed any more; its row is kept for the recovery window. No order depends on it:"
            " those that wait are handed out again."
        )

    def perform(
        self, rows: Any, *, actor: audit.Actor, wanted: dict[str, Any]
    ) -> Outcome:  # Any: form values
        """Each by itself."""
        done, refused = one_by_one(
            rows, lambda row: dead_letters.discard(row.pk, actor=actor, reason=wanted["reason"])
        )
        words = _told(
            rows,
            done,
            one=_("The %(row)s is discarded."),
            several=ngettext(
                "%(count)s dead letter is discarded.", "%(count)s dead letters are discarded.", done
            ),
        )
        return Outcome(done=words, refused=refused)


def _chosen(ids: Collection[str], reason: str) -> Purging:
    return chosen_in_console(recovery.chosen_orders(ids), reason=reason)


def _due(moment: datetime, reason: str) -> Purging:
    return deleted_before(moment, (recovery.deleted_orders(moment),), reason=reason)


def _orders(rows: Any) -> Table:  # Any: orders
    return Table(
        caption=_("What it is about"),
        headings=ORDER_HEADINGS,
        rows=tuple(
            Row.of(
                ORDER_HEADINGS,
                detail_url(Order, row.pk),
                short_id(row.pk),
                breakable(str(row.project)),
                STATUSES[row.status][0],
                text(row.error_reason or row.last_fault),
                moment(row.created_at),
            )
            for row in rows
        ),
    )


def _told(rows: Any, done: int, *, one: str, several: str) -> str:  # Any: orders or dead letters
    if not done:
        return ""
    return one % {"row": rows[0]} if len(rows) == 1 else several % {"count": done}


ORDER_RESTORE = RestoreOrders(
    noun=gettext_lazy("order"),
    nouns=gettext_lazy("orders"),
    permission="orders_app.restore_order",
    restore=recovery.restore_order,
)
ORDER_ACTS: tuple[Act, ...] = (
    RetryOrders(),
    CancelOrders(),
    ORDER_RESTORE,
    DeleteOrders(),
    PurgeRows(
        noun=gettext_lazy("order"),
        nouns=gettext_lazy("orders"),
        permission="orders_app.purge_order",
        purge=purge,
        chosen=_chosen,
    ),
    PurgeOverdue(
        noun=gettext_lazy("order"),
        nouns=gettext_lazy("orders"),
        permission="orders_app.purge_order",
        purge=purge,
        due=_due,
    ),
)
LETTER_ACTS: tuple[Act, ...] = (ReplayLetters(), DiscardLetters())
