from dataclasses import dataclass

from django.contrib.admin import AdminSite
from django.contrib.auth.models import User
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from keepsite.approvals.models import ActRequest
from keepsite.fleet.models import HSMMember
from keepsite.identity.models import APIKey
from keepsite.keyring.models import MKEK, KEKRun, ProjectKEK
from keepsite.nodes.models import Node, Promotion
from keepsite.notices.models import Message, Notice
from keepsite.operators.models import Lockout
from keepsite.projects.models import Project, ProjectQuota
from keepsite.readonly import ReadOnlyAdmin, list_url
from keepsite.trail.models import AuditChain, AuditRecord
from keepsite.translation import gettext_lazy
from orders_app.models import DeadLetter, Order
from secrets_app.models import (
    ACL,
    Container,
    ContainerConsumer,
    ContainerSecret,
    Secret,
    SecretConsumer,
    TransportKey,
)

GROUPS: tuple[tuple[str, tuple[type[Model], ...]], ...] = (
    (gettext_lazy("Stored"), (Project, Secret, Container, Order, DeadLetter)),
    (gettext_lazy("Use"), (SecretConsumer, ContainerConsumer, ContainerSecret)),
    (gettext_lazy("Keys"), (MKEK, ProjectKEK, KEKRun, TransportKey, HSMMember)),
    (gettext_lazy("Nodes"), (Node, Promotion)),
    (gettext_lazy("Notices"), (Notice, Message)),
    (gettext_lazy("Access"), (APIKey, ACL, ProjectQuota, User, ActRequest, Lockout)),
    (gettext_lazy("Audit"), (AuditRecord, AuditChain)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A page that the navigation leads to; ``is_here`` says that the reader is on it or below it."""

    label: str
    url: str
    is_here: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Places under one heading; the first group has none."""

    label: str
    places: tuple[Place, ...]


def navigation(site: AdminSite, request: HttpRequest) -> tuple[Group, ...]:
    """Where this operator can go, the overview first."""
    index = reverse("admin:index")
    overview = Place(label=_("Overview"), url=index, is_here=request.path == index)
    groups = (Group(label=label, places=_places(site, request, models)) for label, models in GROUPS)
    return (Group(label="", places=(overview,)), *(group for group in groups if group.places))


def _places(site: AdminSite, request: HttpRequest, models: tuple[type[Model], ...]) -> tuple[Place, ...]:
    return tuple(
        Place(label=admin.title_plural, url=url, is_here=request.path.startswith(url))
        for model in models
        if isinstance(admin := site.get_model_admin(model), ReadOnlyAdmin)
        and admin.has_view_permission(request)
        and (url := list_url(model))
    )
