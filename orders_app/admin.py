from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from keepsite.acts import ActingAdmin
from keepsite.acts.recovery import DELETED_WORDS, deleted_notice, deleted_pill, deleted_states
from keepsite.celery import app
from keepsite.projects.models import Project
from keepsite.readonly import (
    ChoiceFilter,
    CreatedFilter,
    Detail,
    EmptyState,
    Fact,
    Notice,
    ProjectFilter,
    Section,
    StateFilter,
    Tone,
    bits,
    breakable,
    code,
    detail_url,
    link,
    list_url,
    missing,
    moment,
    pill,
    relative,
    short_id,
    text,
    unbroken,
)
from keepsite.translation import gettext_lazy
from orders_app.acts import LETTER_ACTS, ORDER_ACTS, ORDER_RESTORE
from orders_app.figures import RecentDepths, waiting_figures
from orders_app.models import DeadLetter, Order
from orders_app.recovery import FINISHED
from orders_app.wishes import ASYMMETRIC, SYMMETRIC
from orders_app.words import LETTER_STATES, STATUSES, TYPES
from secrets_app.models import Container, Secret

OLD = timedelta(minutes=10)
LATELY = timedelta(hours=24)
QUEUE = settings.CELERY_TASK_DEFAULT_QUEUE
DEPTHS = RecentDepths()


class OrderTypeFilter(ChoiceFilter):
    """A key, or a pair."""

    title = gettext_lazy("type")
    parameter_name = "type"
    options = ((Order.Type.KEY, gettext_lazy("key")), (Order.Type.ASYMMETRIC, gettext_lazy("key pair")))


class OrderAlgorithmFilter(ChoiceFilter):
    """What the key is for, however its client spelt it."""

    title = gettext_lazy("algorithm")
    parameter_name = "algorithm"
    options = tuple((name, name.upper()) for name in (*SYMMETRIC, *ASYMMETRIC))

    def chosen(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:  # Any: orders
        """Orders of that algorithm."""
        return rows.filter(meta__algorithm__iexact=choice)


class OrderAgeFilter(CreatedFilter):
    """How long ago it was placed; of orders the minutes matter too."""

    title = gettext_lazy("placed")
    options = (
        ("minutes", gettext_lazy("in the past 10 minutes")),
        ("hour", gettext_lazy("in the past hour")),
        *CreatedFilter.options,
    )
    younger: ClassVar = {"minutes": OLD, "hour": timedelta(hours=1), **CreatedFilter.younger}


@admin.register(Order)
class OrderAdmin(ActingAdmin):
    """Orders: how far they are, and why they failed."""

    title = gettext_lazy("Order")
    title_plural = gettext_lazy("Orders")
    lead = gettext_lazy("Keys that clients asked for. Workers make them and store each as a secret.")
    empty = EmptyState(
        sentence=gettext_lazy(
            "No client has ordered a key yet. Orders come through the API: POST /v1/orders."
        )
    )
    state_words: ClassVar = {
        "waiting": gettext_lazy("waiting"),
        "at_work": gettext_lazy("held by a worker"),
        "retried": gettext_lazy("waiting after a fault"),
        "old": gettext_lazy("waiting for over 10 minutes"),
        "fulfilled": gettext_lazy("fulfilled"),
        "failed": gettext_lazy("failed"),
        "failed_lately": gettext_lazy("failed in the past 24 hours"),
        "kept": gettext_lazy("not deleted"),
        **DELETED_WORDS,
    }
    list_display = ("label", "state", "shown_project", "wish", "tries", "created", "outlook")
    number_columns = frozenset({"tries"})
    list_filter = (StateFilter, OrderTypeFilter, OrderAgeFilter, OrderAlgorithmFilter, ProjectFilter)
    search_fields = ("=id", "=secret_id", "=container_id", "=project__external_id", "meta__name")
    search_help_text = gettext_lazy("Name, id, ref, project id, or id of the secret or container made")
    list_select_related = ("project",)
    acts = ORDER_ACTS
    export_fields: ClassVar = {
        "id": "id",
        "project": "project__external_id",
        "type": "type",
        "algorithm": "meta__algorithm",
        "bit_length": "meta__bit_length",
        "name": "meta__name",
        "status": "status",
        "error_status_code": "error_status_code",
        "error_reason": "error_reason",
        "secret_id": "secret_id",
        "container_id": "container_id",
        "creator": "creator_id",
        "created": "created_at",
        "updated": "updated_at",
        "deleted": "deleted_at",
    }
    ordering = ("-created_at",)

    def states(self, now: datetime) -> Mapping[str, Q]:
        """An order that is deleted is nothing else."""
        kept = Q(deleted_at=None)
        deleted = deleted_states(now)
        waiting = kept & Q(status=Order.Status.PENDING)
        failed = kept & Q(status=Order.Status.ERROR)
        return {
            "waiting": waiting,
            "at_work": waiting & Q(lease_until__gte=now),
            "retried": waiting & (Q(retries__gt=0) | Q(attempts__gt=1)),
            "old": waiting & Q(created_at__lt=now - OLD),
            "fulfilled": kept & Q(status=Order.Status.ACTIVE),
            "failed": failed,
            "failed_lately": failed & Q(updated_at__gte=now - LATELY),
            "kept": kept,
            **deleted,
            "recoverable": deleted["recoverable"] & Q(status__in=FINISHED),
        }

    def changelist_view(
        self,
        request: HttpRequest,
        extra_context: dict[str, Any] | None = None,  # Any: template values
    ) -> HttpResponse:
        """The list, under a line that says how the orders are doing."""
        figures = _figures(timezone.now()) if request.method == "GET" else ()
        return super().changelist_view(request, {**(extra_context or {}), "figures": figures})

    def detail(self, row: Order, *, now: datetime) -> Detail:
        """What was asked for, what came of it, where it is."""
        return Detail(
            kind=self.title,
            title=row.id,
            state=_pill(row),
            notice=_notice(row),
            sections=(
                Section(title=_("What was asked for"), facts=tuple(_wishes(row))),
                _result(row),
                Section(
                    title=_("On its way"),
                    facts=(
                        Fact(label=_("Attempts"), value=text(row.attempts)),
                        Fact(
                            label=_("Given back"), value=text(row.retries), note=_("After faults that pass.")
                        ),
                        Fact(label=_("Last fault"), value=text(row.last_fault)),
                        Fact(label=_("Not before"), value=relative(row.not_before, now=now)),
                        Fact(label=_("Handed out"), value=relative(row.handed_out_at, now=now)),
                        Fact(
                            label=_("Held until"),
                            value=relative(row.lease_until, now=now, absent=_("no worker holds it")),
                        ),
                    ),
                ),
                Section(
                    title=_("Whose it is"),
                    facts=(
                        Fact(
                            label=_("Project"), value=link(detail_url(Project, row.project_id), row.project)
                        ),
                        Fact(label=_("Creator"), value=code(row.creator_id)),
                        Fact(label=_("Order id"), value=code(row.id), note=_("The last part of its ref.")),
                    ),
                ),
                Section(
                    title=_("Times"),
                    facts=(
                        Fact(label=_("Placed"), value=relative(row.created_at, now=now)),
                        Fact(label=_("Updated"), value=relative(row.updated_at, now=now)),
                        Fact(label=_("Deleted"), value=relative(row.deleted_at, now=now)),
                    ),
                ),
            ),
        )

    @admin.display(description=gettext_lazy("order"))
    def label(self, order: Order) -> SafeString:
        """The beginning of its id."""
        return short_id(order.id)

    @admin.display(description=gettext_lazy("state"), ordering="status")
    def state(self, order: Order) -> SafeString:
        """How far it is."""
        return _pill(order)

    @admin.display(description=gettext_lazy("project"), ordering="project__external_id")
    def shown_project(self, order: Order) -> SafeString:
        """Whose it is."""
        return breakable(str(order.project))

    @admin.display(description=gettext_lazy("asks for"))
    def wish(self, order: Order) -> SafeString:
        """Algorithm and length."""
        meta: dict[str, Any] = order.meta  # Any: JSON values
        parts = [str(meta.get("algorithm") or TYPES[order.type]).upper()]
        if meta.get("bit_length"):
            parts.append(str(bits(meta["bit_length"])))
        return unbroken(" ".join(parts))

    @admin.display(description=gettext_lazy("tries"), ordering="attempts")
    def tries(self, order: Order) -> int:
        """Claims that ended without a word, and those given back."""
        count: int = order.attempts + order.retries
        return count

    @admin.display(description=gettext_lazy("placed"), ordering="created_at")
    def created(self, order: Order) -> SafeString:
        """Since when."""
        return moment(order.created_at)

    @admin.display(description=gettext_lazy("next try, or why it failed"))
    def outlook(self, order: Order) -> SafeString | str:
        """When a worker may take it and why it was given back; once it failed, what its client reads."""
        if order.deleted_at is not None or order.status != Order.Status.PENDING:
            return text(order.error_reason) if order.error_reason else "\N{EN DASH}"
        now = timezone.now()
        if order.lease_until is not None and order.lease_until >= now:
            when = text(_("at work"))
        else:
            when = relative(order.not_before, now=now) if order.not_before > now else text(_("now"))
        return format_html("{}<br>{}", when, order.last_fault) if order.last_fault else when


@admin.register(DeadLetter)
class DeadLetterAdmin(ActingAdmin):
    """Messages that no worker could take: why, and what became of them."""

    title = gettext_lazy("Dead letter")
    title_plural = gettext_lazy("Dead letters")
    lead = gettext_lazy(
        "Messages that no worker could take. No order depends on one: those that wait are handed out again."
    )
    empty = EmptyState(
        sentence=gettext_lazy(
            "There is none. A message that is not the relay's would be kept here, with the reason."
        )
    )
    state_words: ClassVar = {
        "kept": gettext_lazy("kept"),
        "replay": gettext_lazy("to be replayed"),
        "replayed": gettext_lazy("replayed"),
        "discarded": gettext_lazy("discarded"),
    }
    list_display = ("label", "state_pill", "task", "order", "reason", "arrived")
    column_words: ClassVar = {"task": gettext_lazy("task"), "reason": gettext_lazy("reason")}
    list_filter = (StateFilter,)
    search_fields = ("=id", "=order_id", "task")
    search_help_text = gettext_lazy("Id, order id or task")
    ordering = ("-arrived_at",)
    unseen = ("body", "headers")
    acts = LETTER_ACTS

    def states(self, now: datetime) -> Mapping[str, Q]:  # noqa: ARG002  # they do not change with time
        """What became of it."""
        return {state.value: Q(state=state) for state in DeadLetter.State}

    def detail(self, row: DeadLetter, *, now: datetime) -> Detail:
        """What is known about the message; its bytes are whoever's who wrote them, and not shown."""
        return Detail(
            kind=self.title,
            title=row.id,
            state=_letter_pill(row),
            notice=Notice(tone=Tone.WARNING, message=row.reason)
            if row.state == DeadLetter.State.KEPT
            else None,
            sections=(
                Section(
                    title=_("The message"),
                    facts=(
                        Fact(label=_("Reason"), value=text(row.reason)),
                        Fact(label=_("Queue"), value=text(row.queue)),
                        Fact(label=_("Task"), value=text(row.task)),
                        Fact(label=_("Order"), value=_order_link(row.order_id)),
                        Fact(
                            label=_("Size"),
                            value=text(_("%(size_bytes)s bytes") % {"size_bytes": row.size_bytes}),
                            note=_("Not shown."),
                        ),
                    ),
                ),
                Section(
                    title=_("Times"),
                    facts=(
                        Fact(label=_("Arrived"), value=relative(row.arrived_at, now=now)),
                        Fact(label=_("Settled"), value=relative(row.settled_at, now=now)),
                    ),
                ),
            ),
        )

    @admin.display(description=gettext_lazy("dead letter"))
    def label(self, letter: DeadLetter) -> SafeString:
        """The beginning of its id."""
        return short_id(letter.id)

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def state_pill(self, letter: DeadLetter) -> SafeString:
        """What became of it."""
        return _letter_pill(letter)

    @admin.display(description=gettext_lazy("order"), ordering="order_id")
    def order(self, letter: DeadLetter) -> SafeString:
        """The order that its message names."""
        return short_id(letter.order_id) if letter.order_id else missing(_("none"))

    @admin.display(description=gettext_lazy("arrived"), ordering="arrived_at")
    def arrived(self, letter: DeadLetter) -> SafeString:
        """When it came."""
        return moment(letter.arrived_at)


def _order_link(order_id: str) -> SafeString | str:
    return link(detail_url(Order, order_id), order_id) if order_id else missing(_("names none"))


def _letter_pill(letter: DeadLetter) -> SafeString:
    return pill(*LETTER_STATES[letter.state])


def _figures(now: datetime) -> tuple[Fact, ...]:
    waiting = waiting_figures(now)
    depths = DEPTHS.get(app)
    ready = missing(_("the broker does not answer")) if depths is None else text(depths[QUEUE])
    letters = link(list_url(DeadLetter, state=DeadLetter.State.KEPT), text(waiting.dead_letters))
    oldest = now - timedelta(seconds=waiting.oldest_s) if waiting.waiting else None
    return (
        Fact(label=_("Waiting"), value=text(waiting.waiting)),
        Fact(label=_("Oldest"), value=relative(oldest, now=now, absent=_("none"))),
        Fact(label=_("At work"), value=text(waiting.at_work)),
        Fact(label=_("Retried"), value=text(waiting.retried)),
        Fact(label=_("Messages in the queue"), value=ready),
        Fact(label=_("Dead letters"), value=letters),
    )


def _pill(order: Order) -> SafeString:
    if order.deleted_at is not None:
        return deleted_pill(is_recoverable=ORDER_RESTORE.applies_to(order, now=timezone.now()))
    word, tone = STATUSES[order.status]
    return pill(word, tone)


def _notice(order: Order) -> Notice | None:
    if order.deleted_at is not None:
        return deleted_notice(
            order,
            noun=_("order"),
            is_recoverable=ORDER_RESTORE.applies_to(order, now=timezone.now()),
        )
    if order.status == Order.Status.ERROR:
        reason = order.error_reason or _("It failed and gave no reason.")
        return Notice(tone=Tone.BAD, message=reason)
    return None


def _wishes(order: Order) -> list[Fact]:
    """The order's meta; only names we know, so that nothing unforeseen is shown."""
    meta: dict[str, Any] = order.meta  # Any: JSON values
    return [
        Fact(label=_("Kind"), value=TYPES[order.type]),
        Fact(label=_("Algorithm"), value=text(meta.get("algorithm"))),
        Fact(label=_("Length"), value=bits(meta.get("bit_length"))),
        Fact(label=_("Mode"), value=text(meta.get("mode"))),
        Fact(label=_("Name"), value=text(meta.get("name"))),
        Fact(label=_("Content type"), value=text(meta.get("payload_content_type"))),
        Fact(label=_("Expiration"), value=text(meta.get("expiration"))),
    ]


def _result(order: Order) -> Section:
    title = _("What came of it")
    if order.status == Order.Status.ERROR:
        return Section(
            title=title,
            facts=(
                Fact(
                    label=_("Reason"),
                    value=text(order.error_reason),
                    note=_("The client reads the same words."),
                ),
                Fact(label=_("Status code"), value=text(order.error_status_code)),
            ),
        )
    if order.status == Order.Status.PENDING:
        return Section(title=title, note=_("Nothing yet: a worker will take it."))
    made = ((Secret, _("Secret"), order.secret_id), (Container, _("Container"), order.container_id))
    return Section(title=title, facts=tuple(_made(*one) for one in made if one[-1] is not None))


def _made(model: type[Secret | Container], label: str, made_id: str) -> Fact:
    row = model._default_manager.filter(id=made_id).only("id", "name").first()  # noqa: SLF001  # Django's API
    if row is None:
        return Fact(label=label, value=code(made_id), note=_("It has been removed since."))
    return Fact(label=label, value=link(detail_url(model, made_id), str(row)))
