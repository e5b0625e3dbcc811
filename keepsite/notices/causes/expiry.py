"""What expires, and which keys are due to be replaced."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Count, Min

from keepsite.identity.models import APIKey
from keepsite.keyring.models import MKEK, ProjectKEK
from keepsite.keyring.rotation.mkek_age import due_mkeks
from keepsite.notices.causes.words import Cause, many, until
from keepsite.notices.models import Urgency
from keepsite.readonly import detail_url, list_url
from secrets_app.models import Secret

ALMOST = timedelta(days=2)  # what expires so soon is urgent


def secrets_that_expire(now: datetime) -> Iterator[Cause]:
    """One of each project whose secrets expire within KEEPSITE_NOTICE_EXPIRY_DAYS."""
    days = settings.NOTICE_EXPIRY_DAYS
    soon = Secret.objects.live(now).filter(expires_at__lte=now + timedelta(days=days)).order_by()
    for project_id, project, count, first in (
        soon.values("project_id")
        .annotate(count=Count("id"), first=Min("expires_at"))
        .values_list("project_id", "project__external_id", "count", "first")
    ):
        yield Cause(
            kind="secrets-expire",
            about=project_id,
            urgency=_urgency(first, now),
            text=(
                f"{many(count, 'secret', 'secrets')} of project {project}"
                f" {'expires' if count == 1 else 'expire'} within {days} days, the first {until(first, now)}."
            ),
            path=list_url(Secret, project=project, state="live", expiring="14" if days <= 14 else "30"),  # noqa: PLR2004  # choices of the list's filter
        )


def api_keys_that_expire(now: datetime) -> Iterator[Cause]:
    """One of each valid API key that expires within KEEPSITE_NOTICE_EXPIRY_DAYS."""
    soon = APIKey.objects.filter(
        revoked_at=None,
        expires_at__gt=now,
        expires_at__lte=now + timedelta(days=settings.NOTICE_EXPIRY_DAYS),
    )
    for key in soon.select_related("project"):
        ends_at = key.expires_at or now  # the filter leaves none without
        yield Cause(
            kind="api-key-expires",
            about=key.pk,
            urgency=_urgency(ends_at, now),
            text=f"The API key {key.name} of project {key.project} expires {until(ends_at, now)}.",
            path=detail_url(APIKey, key.pk),
        )


def mkek_due(now: datetime) -> Iterator[Cause]:
    """One for the current MKEK, when it is older than KEEPSITE_MKEK_MAX_DAYS."""
    for pk, label in MKEK.objects.filter(due_mkeks(now)).values_list("pk", "label"):
        yield Cause(
            kind="mkek-due",
            about=pk,
            urgency=Urgency.SOON,
            text=f"The MKEK {label} was generated more than {settings.MKEK_MAX_DAYS} days ago: replace it.",
            path=detail_url(MKEK, pk),
        )


def pkeks_due(now: datetime) -> Iterator[Cause]:  # noqa: ARG001  # a job has marked them
    """One for all pKEKs that are due to be replaced."""
    due = ProjectKEK.objects.filter(due_at__isnull=False).aggregate(count=Count("id"), first=Min("due_at"))
    if due["count"]:
        yield Cause(
            kind="pkeks-due",
            about="",
            urgency=Urgency.SOON,
            text=(
                f"{many(due['count'], 'pKEK is', 'pKEKs are')} due to be rotated,"
                f" the first since {due['first']:%Y-%m-%d}."
            ),
            path=list_url(ProjectKEK, state="due"),
        )


def _urgency(moment: datetime, now: datetime) -> Urgency:
    return Urgency.NOW if moment <= now + ALMOST else Urgency.SOON
