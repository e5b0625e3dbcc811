from http import HTTPStatus
from typing import Any, ClassVar

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from keepsite.api.bodies import json_object
from keepsite.api.fields import NOT_STORABLE, is_storable
from keepsite.api.paging import envelope
from keepsite.api.viewsets import ResourceViewSet
from keepsite.errors import InvalidInput, NotFound
from keepsite.identity.principal import PROJECT_ID_MAX_CHARS
from keepsite.projects import quotas
from keepsite.projects.models import ProjectQuota
from keepsite.projects.services import ensure_project

LIMIT_MAX = 2**31 - 1


class QuotaViewSet(ResourceViewSet):
    """``/v1/quotas``: what holds for the caller's project."""

    rules: ClassVar[dict[str, str]] = {"list": "quotas:get"}

    def list(self, request: Request) -> Response:  # noqa: ARG002  # the framework's
        """The limit of every resource."""
        return Response({"quotas": quotas.effective_limits(ensure_project(self.principal.project_id))})


class ProjectQuotaViewSet(ResourceViewSet):
    """``/v1/project-quotas``: limits that projects have of their own, for service admins."""

    rules: ClassVar[dict[str, str]] = {
        "list": "project_quotas:get",
        "retrieve": "project_quotas:get",
        "update": "project_quotas:put",
        "destroy": "project_quotas:delete",
    }
    reads_accept = frozenset({"destroy"})

    def list(self, request: Request) -> Response:
        """One page of the projects that have limits of their own."""
        rows = ProjectQuota.objects.select_related("project").order_by("created_at", "project_id")
        return Response(
            envelope(
                request,
                rows,
                path="project-quotas",
                plural="project_quotas",
                show=lambda page: [
                    {"project_id": row.project.external_id, "project_quotas": _shown(row)} for row in page
                ],
            )
        )

    def retrieve(self, request: Request, project_id: str) -> Response:  # noqa: ARG002  # the route's
        """A project's own limits."""
        row = ProjectQuota.objects.filter(project__external_id=project_id).first()
        if row is None:
            raise NotFound("This project has no quota of its own.")
        return Response({"project_quotas": _shown(row)})

    def update(self, request: Request, project_id: str) -> HttpResponse:
        """Set some of them."""
        limits = _limits(json_object(request))
        if len(project_id) > PROJECT_ID_MAX_CHARS or not is_storable(project_id):
            raise InvalidInput(
                f"The project id must be 1 to {PROJECT_ID_MAX_CHARS} characters long; it {NOT_STORABLE}."
            )
        quotas.set_quota(project_id, limits, actor=self.principal)
        return HttpResponse(status=HTTPStatus.NO_CONTENT)

    def destroy(self, request: Request, project_id: str) -> HttpResponse:  # noqa: ARG002  # the route's
        """Take them all away."""
        quotas.delete_quota(project_id, actor=self.principal)
        return HttpResponse(status=HTTPStatus.NO_CONTENT)


def _shown(row: ProjectQuota) -> dict[str, int | None]:
    return {resource: getattr(row, resource) for resource in quotas.RESOURCES}


def _limits(body: dict[str, Any]) -> dict[str, int]:  # Any: JSON values
    limits = body.get("project_quotas")
    if not isinstance(limits, dict) or body.keys() != {"project_quotas"}:
        raise _refused("exactly project_quotas, an object, is expected")
    if limits.keys() - {*quotas.RESOURCES}:
        raise _refused(f"known resources are {', '.join(quotas.RESOURCES)}")
    for resource, limit in limits.items():
        if isinstance(limit, bool) or not isinstance(limit, int | float) or not _is_limit(limit):
            raise _refused(f"{resource} must be an integer from -{LIMIT_MAX} to {LIMIT_MAX}; -1 is unlimited")
    return {resource: int(limit) for resource, limit in limits.items()}


def _is_limit(number: float) -> bool:
    """Whether it is whole, as 12.0 is, and within the bounds."""
    return abs(number) <= LIMIT_MAX and number == int(number)


def _refused(reason: str) -> InvalidInput:
    return InvalidInput(f"Provided object does not match schema 'Project Quota': {reason}.")
