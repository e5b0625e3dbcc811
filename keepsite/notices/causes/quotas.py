"""Projects that have almost as much as they may."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import Count, QuerySet

from keepsite.notices.causes.words import Cause
from keepsite.notices.models import Urgency
from keepsite.projects.models import Project, ProjectQuota
from keepsite.readonly import detail_url
from orders_app.models import Order
from secrets_app.models import Container, ContainerConsumer, Secret, SecretConsumer

# What counts towards each quota, as the services that claim it count.
COUNTED: tuple[tuple[str, str, Callable[[datetime], QuerySet[Any]]], ...] = (  # Any: of different models
    ("secrets", "secrets", Secret.objects.live),
    ("orders", "orders", lambda _: Order.objects.filter(deleted_at=None)),
    ("containers", "containers", lambda _: Container.objects.filter(deleted_at=None)),
    ("consumers", "consumers of secrets", lambda _: SecretConsumer.objects.all()),
    ("consumers", "consumers of containers", lambda _: ContainerConsumer.objects.all()),
)


def quotas_near(now: datetime) -> Iterator[Cause]:
    """One of each project and resource of which KEEPSITE_NOTICE_QUOTA_PERCENT or more are used."""
    own = list(ProjectQuota.objects.all())
    for resource, noun, kept in COUNTED:
        limits = {quota.pk: limit for quota in own if (limit := getattr(quota, resource)) is not None}
        default = settings.QUOTAS[resource]
        for project, name, used in _used(kept(now), limits, default=default):
            limit = limits.get(project, default)
            if limit > 0 and used * 100 >= limit * settings.NOTICE_QUOTA_PERCENT:
                yield Cause(
                    kind="quota-near",
                    about=f"{noun}:{project}",
                    urgency=Urgency.NOW if used >= limit else Urgency.SOON,
                    text=f"Project {name} has {intcomma(used)} {noun} of the {intcomma(limit)} it may have.",
                    path=detail_url(Project, project),
                )


def _used(
    rows: QuerySet[Any], limits: Mapping[str, int], *, default: int
) -> Iterable[tuple[str, str, int]]:  # Any: of different models
    """How much of it each project has that a limit holds for, zero left out."""
    if default <= 0:
        limited = [project for project, limit in limits.items() if limit > 0]
        if not limited:
            return ()
        rows = rows.filter(project__in=limited)
    counted = rows.order_by().values("project_id").annotate(used=Count("pk"))
    found: Iterable[tuple[str, str, int]] = counted.values_list("project_id", "project__external_id", "used")
    return found
