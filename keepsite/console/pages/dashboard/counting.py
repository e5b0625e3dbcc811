"""What only a look at every row tells: counted in six statements, and not more often than it is worth.

A count that took long is kept for long: counting takes at most one part in fifty of the time,
whatever the number of rows and of open dashboards (docs/decisions/0008-totals-of-long-lists-are-remembered.md
says what counting costs).
"""

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.admin import AdminSite
from django.db.models import CharField, Count, Model, Q, QuerySet, Value

from keepsite.identity.models import APIKey
from keepsite.keyring.models import MKEK, ProjectKEK
from keepsite.keyring.querysets import sealed_row_models
from keepsite.projects.models import Project
from keepsite.projects.quotas import is_near
from orders_app.models import Order
from secrets_app.models import Container, Payload, Secret

LATELY = timedelta(hours=24)
KEPT_FOR = 50  # times as long as it took to count
KEPT_AT_MOST_S = 60.0
SHOWN_OF_MKEKS = ("label", "kcv", "state", "current_marker", "created_at")
LIMITED = ("secrets", "orders", "containers")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectUse:
    """What a project has; ``made_lately`` is what it made of all that in the last 24 hours."""

    id: str
    external_id: str
    is_suspended: bool
    used: Mapping[str, int]
    limits: Mapping[str, int]  # negative is no limit
    made_lately: int

    @property
    def near(self) -> tuple[str, ...]:
        """The resources of which it has nearly all it may have."""
        return tuple(name for name in LIMITED if is_near(self.used[name], self.limits[name]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """A pKEK; ``rows`` of every kind are sealed under it, ``secrets`` of them payloads."""

    id: str
    project: str
    generation: int
    mkek_id: str
    state: str
    is_due: bool
    created_at: datetime
    secrets: int
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """What is kept, as of ``counted_at``."""

    counted_at: datetime
    projects: tuple[ProjectUse, ...]
    has_secrets: bool  # also deleted ones
    secrets: int  # neither deleted nor expired
    orders: int  # not deleted
    failed: int
    failed_lately: int
    mkeks: tuple[MKEK, ...]
    generations: tuple[Generation, ...]
    has_api_keys: bool  # also revoked ones
    expiring_keys: int

    @property
    def current_mkek(self) -> MKEK | None:
        """The one that wraps new pKEKs."""
        return next((mkek for mkek in self.mkeks if mkek.current_marker), None)


class Remembered:
    """The last count of this process; safe with threads, of which one counts at a time."""

    def __init__(self) -> None:
        self._counting = threading.Lock()
        self._stock: Stock | None = None
        self._until = 0.0  # by the monotonic clock

    def get(self, site: AdminSite, *, now: datetime) -> Stock:
        """A count as fresh as it is worth."""
        stock = self._stock
        if stock is not None and time.monotonic() < self._until:
            return stock
        if not self._counting.acquire(blocking=stock is None) and stock is not None:
            return stock  # somebody counts already
        try:
            if self._stock is not stock and self._stock is not None:
                return self._stock  # somebody has counted while we waited
            began = time.monotonic()
            self._stock = count(site, now=now)
            ended = time.monotonic()
            self._until = ended + min((ended - began) * KEPT_FOR, KEPT_AT_MOST_S)
            return self._stock
        finally:
            self._counting.release()

    def forget(self) -> None:
        """Have the next one counted."""
        self._stock = None


def count(site: AdminSite, *, now: datetime) -> Stock:
    """Everything, as the lists behind the numbers filter."""
    orders = site.get_model_admin(Order).states(now)  # type: ignore[attr-defined]  # a ReadOnlyAdmin
    keys = site.get_model_admin(APIKey).states(now)  # type: ignore[attr-defined]
    live = site.get_model_admin(Secret).states(now)["live"]  # type: ignore[attr-defined]
    lately = Q(created_at__gte=now - LATELY)
    by_resource = _by_project(
        {
            "secrets": _counted(Secret, used=live, lately=lately),
            "orders": _counted(
                Order,
                used=orders["kept"],
                lately=lately,
                failed=orders["failed"],
                failed_lately=orders["failed_lately"],
            ),
            "containers": _counted(Container, used=Q(deleted_at=None), lately=lately),
        }
    )
    of_secrets, of_orders = by_resource["secrets"].values(), by_resource["orders"].values()
    api_keys = APIKey.objects.aggregate(all=Count("pk"), expiring=Count("pk", filter=keys["expiring"]))
    return Stock(
        counted_at=now,
        projects=_projects(by_resource),
        has_secrets=bool(of_secrets),
        secrets=sum(counts.used for counts in of_secrets),
        orders=sum(counts.used for counts in of_orders),
        failed=sum(counts.failed for counts in of_orders),
        failed_lately=sum(counts.failed_lately for counts in of_orders),
        mkeks=tuple(MKEK.objects.only(*SHOWN_OF_MKEKS).order_by("-created_at")),
        generations=_generations(),
        has_api_keys=api_keys["all"] > 0,
        expiring_keys=api_keys["expiring"],
    )


class Counts(NamedTuple):
    """Rows of one project and one resource."""

    used: int = 0
    lately: int = 0
    failed: int = 0
    failed_lately: int = 0


NONE = Counts()
ByResource = dict[str, dict[str, Counts]]  # by resource, then by project id


def _counted(model: type[Model], **conditions: Q) -> QuerySet[Any]:  # Any: of several models
    """Rows by project: the numbers of ``Counts``, 0 for those without a condition."""
    numbers = {
        name: Count("pk", filter=conditions[name]) if name in conditions else Value(0)
        for name in Counts._fields
    }
    of_projects = model._default_manager.order_by().values("project_id")  # noqa: SLF001  # Django's API
    counted: QuerySet[Any] = of_projects.annotate(**numbers)
    return counted


def _by_project(resources: Mapping[str, QuerySet[Any]]) -> ByResource:  # Any: as above
    """Of all resources in one statement."""
    rows = [
        counted.annotate(resource=_named(name)).values_list("project_id", "resource", *Counts._fields)
        for name, counted in resources.items()
    ]
    found: ByResource = {name: {} for name in resources}
    for project_id, resource, *numbers in rows[0].union(*rows[1:], all=True):
        found[resource][project_id] = Counts(*numbers)
    return found


def _named(name: str) -> Value:
    return Value(name, output_field=CharField())


def _projects(by_resource: ByResource) -> tuple[ProjectUse, ...]:
    own = [f"quota__{name}" for name in LIMITED]
    rows = Project.objects.order_by("external_id").values("id", "external_id", "suspended_at", *own)
    return tuple(
        ProjectUse(
            id=row["id"],
            external_id=row["external_id"],
            is_suspended=row["suspended_at"] is not None,
            used={name: by_resource[name].get(row["id"], NONE).used for name in LIMITED},
            limits={
                name: settings.QUOTAS[name] if (limit := row[f"quota__{name}"]) is None else limit
                for name in LIMITED
            },
            made_lately=sum(counts.get(row["id"], NONE).lately for counts in by_resource.values()),
        )
        for row in rows
    )


def _generations() -> tuple[Generation, ...]:
    secrets, rows = _sealed()
    pkeks = ProjectKEK.objects.order_by("created_at").values(
        "id", "project__external_id", "generation", "mkek_id", "state", "due_at", "created_at"
    )
    return tuple(
        Generation(
            id=row["id"],
            project=row["project__external_id"],
            generation=row["generation"],
            mkek_id=row["mkek_id"],
            state=row["state"],
            is_due=row["due_at"] is not None,
            created_at=row["created_at"],
            secrets=secrets[row["id"]],
            rows=rows[row["id"]],
        )
        for row in pkeks
    )


def _sealed() -> tuple[Counter[str], Counter[str]]:
    """How many payloads, and how many rows of all kinds, are sealed under each pKEK: one statement."""
    kinds = []
    for model in sealed_row_models():
        kind = _named(str(model._meta.model_name))  # noqa: SLF001  # Django's API
        rows = model._default_manager.order_by().values("pkek_id")  # noqa: SLF001
        kinds.append(rows.annotate(kind=kind, rows=Count("pk")).values_list("pkek_id", "kind", "rows"))
    payloads: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for pkek_id, kind, sealed in kinds[0].union(*kinds[1:], all=True):
        total[pkek_id] += sealed
        if kind == Payload._meta.model_name:  # noqa: SLF001
            payloads[pkek_id] += sealed
    return payloads, total
