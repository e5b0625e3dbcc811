"""What must be known of an operator before any page is shown, in one statement."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Count, Exists, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest

from keepsite.approvals.models import ActRequest
from keepsite.approvals.services import is_settled_lately, waiting
from keepsite.console.models import OneTimePassword
from keepsite.operators.second_factor import is_demanded

ATTRIBUTE = "keepsite_standing"  # of the request


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Whether an operator must do something first, and what to tell them of acts that need two persons.

    ``waiting_acts`` wait for a second person; ``settled_acts`` are those that they asked for themselves.
    """

    has_one_time_password: bool
    authenticator_id: str | None
    must_enrol: bool
    waiting_acts: int
    settled_acts: int
    zone: str | None  # that they chose

    @classmethod
    def of(cls, request: HttpRequest, *, now: datetime) -> "Standing":
        """As the database has it now; kept with the request for what draws its page."""
        own = ActRequest.objects.filter(is_settled_lately(now), requested_by=request.user.get_username())
        row = (
            User.objects.filter(username=request.user.get_username())
            .annotate(
                has_one_time_password=Exists(OneTimePassword.objects.filter(user=OuterRef("pk"))),
                in_demanded_role=Exists(
                    User.objects.filter(pk=OuterRef("pk"), groups__name__in=settings.CONSOLE_SECOND_FACTOR)
                ),
                waiting_acts=Coalesce(Subquery(_counted(waiting(now), same="state")), 0),
                settled_acts=Coalesce(Subquery(_counted(own, same="requested_by")), 0),
            )
            .values_list(
                "has_one_time_password",
                "authenticator__id",
                "in_demanded_role",
                "is_superuser",
                "waiting_acts",
                "settled_acts",
                "preference__zone",
            )
            .get()
        )
        has_one_time_password, authenticator_id, in_demanded_role, has_all_rights, *rest = row
        has_none = not authenticator_id  # the stubs take a left join for an inner one
        waiting_acts, settled_acts, zone = rest
        roles = settings.CONSOLE_SECOND_FACTOR if in_demanded_role else ()
        standing = cls(
            has_one_time_password=has_one_time_password,
            authenticator_id=authenticator_id,
            must_enrol=has_none and is_demanded(roles, has_all_rights=has_all_rights),
            waiting_acts=waiting_acts,
            settled_acts=settled_acts,
            zone=zone,
        )
        setattr(request, ATTRIBUTE, standing)
        return standing


def standing_of(request: HttpRequest) -> Standing | None:
    """What ``Standing.of`` found for this request; None where nobody is logged in."""
    standing: Standing | None = getattr(request, ATTRIBUTE, None)
    return standing


def _counted(
    rows: QuerySet[ActRequest], *, same: str
) -> QuerySet[ActRequest, Any]:  # Any: a row of one number
    """How many; ``same`` is a column in which they do not differ, for only groups can be counted so."""
    of_all = rows.order_by().values(same).annotate(count=Count("pk"))
    counts: QuerySet[ActRequest, Any] = of_all.values("count")
    return counts
