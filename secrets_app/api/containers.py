from collections.abc import Mapping
from http import HTTPStatus
from typing import ClassVar

from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from keepsite.api import idempotency
from keepsite.api.bodies import json_object
from keepsite.api.openapi import ID, Answer, Operation, Parameter, Schema, described, made, paged
from keepsite.api.paging import envelope
from keepsite.api.query import chosen
from keepsite.api.refs import ref
from keepsite.api.totals import TOTALS, Listed
from keepsite.api.viewsets import ResourceViewSet
from keepsite.errors import NotFound
from keepsite.idempotency.services import KeyedRequest
from keepsite.identity.policy import Target
from keepsite.identity.principal import Principal
from keepsite.ids import is_id
from secrets_app import services
from secrets_app.api.serializers.containers import (
    CONTAINER,
    NewContainerSerializer,
    PlaceSerializer,
    places_of,
    show_containers,
)
from secrets_app.choices import ContainerType
from secrets_app.lookups import LIVE_CONTAINER
from secrets_app.models import Container


class UnderContainer(ResourceViewSet):
    """A route below one container, which is found before anything else is judged."""

    container: Container
    path_parameters: ClassVar[Mapping[str, tuple[Schema, str]]] = {
        "container_id": (ID, "what follows the last slash of the container's ref"),
    }

    def load(self) -> None:
        """Find the container that the URL names, whoever owns it; the policy judges after."""
        self.container = find_container(self.kwargs["container_id"], caller=self.principal)

    def policy_target(self) -> Target | None:
        """The container's facts."""
        return services.target_of(self.container)


class ContainerViewSet(UnderContainer):
    """``/v1/containers`` and ``/v1/containers/{id}``."""

    rules: ClassVar[dict[str, str]] = {
        "list": "containers:get",
        "create": "containers:post",
        "retrieve": "container:get",
        "destroy": "container:delete",
    }
    reads_accept = frozenset({"destroy"})

    def load(self) -> None:
        """Find the container, if the URL names one."""
        if "container_id" in self.kwargs:
            super().load()

    def policy_target(self) -> Target | None:
        """The container's facts; None for the collection."""
        return super().policy_target() if "container_id" in self.kwargs else None

    @described(
        paged(
            "containers",
            CONTAINER,
            summary="List containers",
            description="Those of the caller's project.",
            parameters=(
                Parameter(
                    name="name", schema={"type": "string"}, description="the name; `%` stands for anything"
                ),
                Parameter(name="type", schema={"type": "string"}, description="the type"),
            ),
        )
    )
    def list(self, request: Request) -> Response:
        """One page of the project's containers."""
        now = timezone.now()
        rows = Container.objects.in_project(self.principal.project_id).order_by("created_at", "id")
        if name := request.query_params.get("name"):
            rows = rows.filter(name__like=name)
        if kind := request.query_params.get("type"):
            rows = rows.filter(type=kind)
        listed = Listed(
            rows=rows,
            project_id=self.principal.project_id,
            filters=chosen(request.GET, ("name", "type")),
        )
        return Response(
            envelope(
                request,
                listed.live(now),
                path="containers",
                plural="containers",
                show=lambda page: show_containers(page, request),
                count=lambda: TOTALS.of(listed, now),
            )
        )

    @described(
        Operation(
            summary="Make a container",
            description="Of secrets of the caller's project. A ref counts by its last segment.",
            parameters=(idempotency.PARAMETER,),
            body=NewContainerSerializer.forms(),
            answer=made(HTTPStatus.CREATED, "container_ref", "the container is stored"),
            refusals={
                HTTPStatus.FORBIDDEN: "The caller's roles, or the project's quota, do not allow it.",
                HTTPStatus.NOT_FOUND: "A secret is not in the caller's project, or has expired.",
                **idempotency.REFUSALS,
            },
        )
    )
    def create(self, request: Request) -> Response:
        """Make a container."""
        body = json_object(request)

        def make(keyed: KeyedRequest | None) -> Container:
            values = NewContainerSerializer.checked(body)
            return services.create_container(
                actor=self.principal,
                kind=ContainerType(values["type"]),
                name=values.get("name"),
                places=places_of(body),
                keyed=keyed,
            )

        container_id = idempotency.make_once(
            request, kind="container", body=body, make=make, caller=self.principal
        )
        return _made(request, container_id)

    @described(
        Operation(
            summary="Show a container",
            answer=Answer(
                status=HTTPStatus.OK,
                description="the container",
                content={"application/json": CONTAINER},
            ),
        )
    )
    def retrieve(self, request: Request, container_id: str) -> Response:  # noqa: ARG002  # the route's
        """What it holds."""
        return Response(show_containers([self.container], request)[0])

    @described(
        Operation(
            summary="Delete a container",
            description="The secrets in it stay; consumers do not stand in the way.",
            answer=Answer(status=HTTPStatus.NO_CONTENT, description="it is deleted"),
        )
    )
    def destroy(self, request: Request, container_id: str) -> HttpResponse:  # noqa: ARG002  # the route's
        """Delete it; the secrets stay."""
        services.delete_container(self.container, actor=self.principal)
        return HttpResponse(status=HTTPStatus.NO_CONTENT)


class ContainerSecretViewSet(UnderContainer):
    """``/v1/containers/{id}/secrets``."""

    rules: ClassVar[dict[str, str]] = {"create": "container_secret:post", "remove": "container_secret:delete"}
    reads_accept = frozenset({"remove"})

    @described(
        Operation(
            summary="Put a secret into a generic container",
            body=PlaceSerializer.component(),
            answer=made(HTTPStatus.CREATED, "container_ref", "the container holds it"),
            refusals={
                HTTPStatus.NOT_FOUND: "There is no such container, or the project has no such secret.",
                HTTPStatus.CONFLICT: "The container holds this secret under this name already.",
            },
        )
    )
    def create(self, request: Request, container_id: str) -> Response:  # noqa: ARG002  # the route's
        """Put a secret into a generic container."""
        services.check_is_generic(self.container)
        services.add_secret(self.container, PlaceSerializer.place(json_object(request)), actor=self.principal)
        return _made(request, self.container.id)

    @described(
        Operation(
            summary="Take a secret out of a container",
            description="The body says which.",
            body=PlaceSerializer.component(),
            answer=Answer(status=HTTPStatus.NO_CONTENT, description="the container does not hold it"),
            refusals={
                HTTPStatus.NOT_FOUND: "There is no such container, or it does not hold this under this name."
            },
        )
    )
    def remove(self, request: Request, container_id: str) -> HttpResponse:  # noqa: ARG002  # the route's
        """Take one out, named by the body."""
        services.remove_secret(
            self.container, PlaceSerializer.place(json_object(request)), actor=self.principal
        )
        return HttpResponse(status=HTTPStatus.NO_CONTENT)


def find_container(container_id: str, *, caller: Principal) -> Container:
    """The live container with this id, with project, ACL and whether that names the caller.

    Raises:
        NotFound: malformed, unknown or deleted.
    """
    container = (
        LIVE_CONTAINER.first(id=container_id, user_id=caller.user_id or "") if is_id(container_id) else None
    )
    if container is None:
        raise NotFound("Container not found.")
    return container


def _made(request: Request, container_id: str) -> Response:
    where = ref(request, "containers", container_id)
    return Response({"container_ref": where}, status=HTTPStatus.CREATED, headers={"Location": where})
