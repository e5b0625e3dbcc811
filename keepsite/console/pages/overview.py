"""The first page: is all well, how much is kept, what failed.  It asks the database and no HSM."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from django.conf import settings
from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import Count, Min, Model, Q
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

from keepsite.identity.models import APIKey
from keepsite.keyring.models import MKEK, ProjectKEK
from keepsite.projects.models import Project
from keepsite.readonly import (
    Heading,
    Row,
    Table,
    Tone,
    breakable,
    detail_url,
    list_url,
    moment,
    pill,
    short_id,
    utc,
)
from keepsite.trail.models import AuditChain
from orders_app.models import Order
from secrets_app.models import Container, Secret

RECENT = timedelta(hours=24)
STALLED = timedelta(minutes=2)  # an order is handed out anew after 15 s and leased for 60 s
SHOWN_FAILURES = 5
# Which nouns have a card, and the state whose number stands large on it.
CARDS: tuple[tuple[type[Model], str], ...] = (
    (Secret, "live"),
    (Container, "live"),
    (Order, "kept"),
    (Project, "all"),
    (MKEK, "all"),
    (ProjectKEK, "all"),
    (APIKey, "valid"),
)
SUMS = frozenset({"deleted"})  # states that others on the card add up to
NOTABLE = frozenset(
    {"failed", "expiring", "broken", "suspended", "due"}
)  # states that somebody should look at
FAILURE_HEADINGS = tuple(
    Heading(label=label) for label in ("Order", "Project", "Asks for", "Failed (UTC)", "Why")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """One sentence on how things are, and what else to know."""

    state: SafeString
    tone: Tone
    sentence: str
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number and the list behind it; ``is_notable`` where somebody should look."""

    label: str
    number: str
    url: str
    is_notable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A noun's number, and the parts it falls into."""

    title: str
    total: Figure
    parts: tuple[Figure, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something to do before the first secret is stored."""

    title: str
    command: str
    state: SafeString
    is_done: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The whole page."""

    as_of: SafeString
    health: Health
    steps: tuple[Step, ...]
    cards: tuple[Card, ...]
    failures: Table | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """What the database says: of each model how many rows in ``all`` and in each state of its list."""

    current_mkek: str | None
    oldest_order: datetime | None
    failed_lately: int
    altered_trails: tuple[str, ...]  # nodes whose audit trail was found not to be whole
    by_model: Mapping[type[Model], Mapping[str, int]]


class Pages(Protocol):
    """Where the lists are declared; the site is one."""

    def get_model_admin(self, model: type[Model]) -> Any:  # Any: a ReadOnlyAdmin, Django says ModelAdmin
        """The declaration of the list of ``model``."""


def overview(
    site: Pages, *, now: datetime, may_see: Callable[[type[Model]], bool] = lambda _model: True
) -> Overview:
    """The page as of ``now``, with the nouns that its reader ``may_see``; eleven SQL statements."""
    numbers = count(site, now=now)
    return Overview(
        as_of=utc(now),
        health=health(numbers, now=now),
        steps=first_steps(numbers),
        cards=tuple(_card(site, numbers, model, headline) for model, headline in CARDS if may_see(model)),
        failures=newest_failures(site, now=now) if may_see(Order) else None,
    )


def count(site: Pages, *, now: datetime) -> Numbers:
    """Every number of the page, counted as the lists behind them filter."""
    by_model = {}
    for model, _ in CARDS:
        states = site.get_model_admin(model).states(now)
        counts = {name: Count("pk", filter=condition) for name, condition in states.items()}
        by_model[model] = model._default_manager.aggregate(all=Count("pk"), **counts)  # noqa: SLF001  # Django's documented way
    orders = site.get_model_admin(Order).states(now)
    failed_lately = orders["failed"] & Q(updated_at__gte=now - RECENT)
    queue = Order.objects.aggregate(
        oldest=Min("created_at", filter=orders["waiting"]), failed_lately=Count("pk", filter=failed_lately)
    )
    return Numbers(
        current_mkek=MKEK.objects.filter(current_marker=True).values_list("label", flat=True).first(),
        oldest_order=queue["oldest"],
        failed_lately=queue["failed_lately"],
        altered_trails=tuple(
            AuditChain.objects.exclude(findings=[]).order_by("node").values_list("node", flat=True)
        ),
        by_model=by_model,
    )


def health(numbers: Numbers, *, now: datetime) -> Health:
    """The worst first; what else there is follows as remarks."""
    troubles = _troubles(numbers, now=now)
    if not troubles:
        fine = f"MKEK {numbers.current_mkek} is current, no order is stuck, none failed in the last 24 hours."
        return Health(state=pill("All well", Tone.GOOD), tone=Tone.GOOD, sentence=fine)
    tone, sentence = troubles[0]
    word = "Trouble" if tone is Tone.BAD else "Attention"
    remarks = tuple(remark for _, remark in troubles[1:])
    return Health(state=pill(word, tone), tone=tone, sentence=sentence, remarks=remarks)


def first_steps(numbers: Numbers) -> tuple[Step, ...]:
    """What a fresh installation still needs; nothing once the first secret is there."""
    if numbers.current_mkek and numbers.by_model[Secret]["all"]:
        return ()
    steps = [
        _step(
            "Make a master key on the token",
            "manage.py mkek_generate --label keepsite-mkek-1 --activate",
            done=bool(numbers.current_mkek),
        )
    ]
    if settings.AUTH == "local":
        steps.append(
            _step(
                "Give a client an API key",
                "manage.py api_key create --project demo --user me --role member --name 'first key'",
                done=bool(numbers.by_model[APIKey]["all"]),
            )
        )
    api = settings.HOST_HREF or f"http://{settings.BIND}"
    steps.append(
        _step(
            "Store a secret with it",
            f'curl {api}/v1/secrets -H "X-Auth-Token: $API_KEY" \\\n'
            "  -H 'Content-Type: application/json' \\\n"
            """  -d '{"name": "first", "payload": "hello", "payload_content_type": "text/plain"}'""",
            done=bool(numbers.by_model[Secret]["all"]),
        )
    )
    return tuple(steps)


def newest_failures(site: Pages, *, now: datetime) -> Table:
    """The orders that failed last."""
    admin = site.get_model_admin(Order)
    failed = Order.objects.filter(admin.states(now)["failed"]).select_related("project")
    return Table(
        caption="Newest failed orders",
        headings=FAILURE_HEADINGS,
        rows=tuple(
            Row.of(
                FAILURE_HEADINGS,
                detail_url(Order, order.id),
                short_id(order.id),
                breakable(str(order.project)),
                admin.wish(order),
                moment(order.updated_at),
                order.error_reason,
            )
            for order in failed.order_by("-updated_at", "id")[:SHOWN_FAILURES]
        ),
    )


def _troubles(numbers: Numbers, *, now: datetime) -> list[tuple[Tone, str]]:
    found: list[tuple[Tone, str]] = []
    expiring = numbers.by_model[APIKey]["expiring"]
    if numbers.current_mkek is None:
        found.append((Tone.BAD, "There is no current MKEK: a project without a pKEK cannot store anything."))
    if numbers.altered_trails:
        nodes = ", ".join(numbers.altered_trails)
        found.append((Tone.BAD, f"The audit trail of {nodes} is not whole: see Audit chains."))
    if numbers.oldest_order and now - numbers.oldest_order > STALLED:
        waiting = _many(numbers.by_model[Order]["waiting"], "order waits", "orders wait")
        age = timesince(numbers.oldest_order, now, depth=1)
        found.append(
            (Tone.BAD, f"{waiting}, the oldest for {age}: check the workers, the relay and the HSM.")
        )
    if numbers.failed_lately:
        failed = _many(numbers.failed_lately, "order", "orders")
        found.append((Tone.WARNING, f"{failed} failed in the last 24 hours."))
    if expiring:
        keys = _many(expiring, "API key expires", "API keys expire")
        found.append((Tone.WARNING, f"{keys} within two weeks."))
    return found


def _card(site: Pages, numbers: Numbers, model: type[Model], headline: str) -> Card:
    admin = site.get_model_admin(model)
    counts = numbers.by_model[model]

    def figure(state: str) -> Figure:
        return Figure(
            label=admin.state_words.get(state, "in all"),
            number=intcomma(counts[state]),
            url=list_url(model, **({} if state == "all" else {"state": state})),
            is_notable=state in NOTABLE and counts[state] > 0,
        )

    parts = tuple(figure(state) for state in admin.state_words if state not in {headline, *SUMS})
    return Card(title=admin.title_plural, total=figure(headline), parts=parts)


def _step(title: str, command: str, *, done: bool) -> Step:
    state = pill("Done", Tone.GOOD) if done else pill("To do", Tone.WAITING)
    return Step(title=title, command=command, state=state, is_done=done)


def _many(number: int, one: str, many: str) -> str:
    return f"{intcomma(number)} {one if number == 1 else many}"
