from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from keepsite.api.bodies import json_object
from keepsite.api.fields import NOT_STORABLE, is_storable, is_whole
from keepsite.api.openapi import (
    Answer,
    Component,
    Operation,
    Schema,
    described,
    nullable,
    paged,
    record,
)
from keepsite.api.paging import envelope
from keepsite.api.viewsets import ResourceViewSet
from keepsite.errors import InvalidInput, NotFound
from keepsite.identity.principal import PROJECT_ID_MAX_CHARS
from keepsite.projects import quotas
from keepsite.projects.models import ProjectQuota
from keepsite.projects.services import ensure_project

LIMIT_MAX = 2**31 - 1
LIMIT = {"type": "integer", "minimum": -LIMIT_MAX, "maximum": LIMIT_MAX, "description": "negative: unlimited"}
QUOTAS = Component("Quotas", record(dict.fromkeys(quotas.RESOURCES, LIMIT)))
OWN_QUOTAS = Component(
    "OwnQuotas",
    record(dict.fromkeys(quotas.RESOURCES, nullable(LIMIT)), description="null: the deployment's default"),
)
WANTED_QUOTAS = Component(
    "WantedQuotas", record({"project_quotas": record({}, dict.fromkeys(quotas.RESOURCES, LIMIT))})
)
PROJECT_QUOTA = Component(
    "ProjectQuota", record({"project_id": {"type": "string"}, "project_quotas": OWN_QUOTAS})
)


class QuotaViewSet(ResourceViewSet):
    """``/v1/quotas``: what holds for the caller's project."""

    rules: ClassVar[dict[str, str]] = {"list": "quotas:get"}

    @described(
        Operation(
            summary="Show what holds for the caller's project",
            answer=Answer(
                status=HTTPStatus.OK,
                description="the limit of every resource",
                content={"application/json": record({"quotas": QUOTAS})},
            ),
        )
    )
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
    path_parameters: ClassVar[Mapping[str, tuple[Schema, str]]] = {
        "project_id": (
            {"type": "string", "minLength": 1, "maxLength": PROJECT_ID_MAX_CHARS},
            "the id of a project, as Keystone knows it",
        ),
    }
    reads_accept = frozenset({"destroy"})

    def load(self) -> None:
        """Refuse an id that no project can have; whether a project has quotas, the action finds out."""
        if len(self.kwargs.get("project_id", "")) > PROJECT_ID_MAX_CHARS:
            raise NotFound("No project has an id that long.")

    @described(paged("project_quotas", PROJECT_QUOTA, summary="List projects with quotas of their own"))
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

    @described(
        Operation(
            summary="Show a project's own quotas",
            answer=Answer(
                status=HTTPStatus.OK,
                description="its limits",
                content={"application/json": record({"project_quotas": OWN_QUOTAS})},
            ),
            refusals={HTTPStatus.NOT_FOUND: "The project has no quotas of its own."},
        )
    )
    def retrieve(self, request: Request, project_id: str) -> Response:  # noqa: ARG002  # the route's
        """A project's own limits."""
        row = ProjectQuota.objects.filter(project__external_id=project_id).first()
        if row is None:
            raise NotFound("This project has no quota of its own.")
        return Response({"project_quotas": _shown(row)})

    @described(
        Operation(
            summary="Give a project quotas of its own",
            description="What the body does not name stays as it is.",
            body=WANTED_QUOTAS,
            answer=Answer(status=HTTPStatus.NO_CONTENT, description="they hold from now on"),
            refusals={HTTPStatus.NOT_FOUND: "No project can have an id that long."},
        )
    )
    def update(self, request: Request, project_id: str) -> HttpResponse:
        """Set some of them."""
        limits = _limits(json_object(request))
        if not is_storable(project_id):
            raise InvalidInput(f"The project id {NOT_STORABLE}.")
        quotas.set_quota(project_id, limits, actor=self.principal)
        return HttpResponse(status=HTTPStatus.NO_CONTENT)

    @described(
        Operation(
            summary="Take a project's own quotas away",
            answer=Answer(status=HTTPStatus.NO_CONTENT, description="the deployment's defaults hold again"),
            refusals={HTTPStatus.NOT_FOUND: "The project has no quotas of its own."},
        )
    )
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
        if not is_whole(limit) or abs(limit) > LIMIT_MAX:
            raise _refused(f"{resource} must be an integer from -{LIMIT_MAX} to {LIMIT_MAX}; -1 is unlimited")
    return {resource: int(limit) for resource, limit in limits.items()}


def _refused(reason: str) -> InvalidInput:
    return InvalidInput(f"Provided object does not match schema 'Project Quota': {reason}.")
