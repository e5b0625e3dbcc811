from abc import ABC, abstractmethod
from http import HTTPStatus
from typing import ClassVar

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from keepsite.api.bodies import json_object
from keepsite.api.openapi import URL, Answer, Operation, described, record
from keepsite.api.refs import ref
from keepsite.api.viewsets import ResourceViewSet
from secrets_app import services
from secrets_app.api.containers import UnderContainer
from secrets_app.api.secrets import UnderSecret
from secrets_app.api.serializers.acls import ACL_SHOWN, WANTED_ACL, show_acl, wanted_access
from secrets_app.models import Container, Secret

WRITTEN = Answer(
    status=HTTPStatus.OK,
    description="it holds from now on",
    content={"application/json": record({"acl_ref": URL})},
)


class ACLViewSet(ResourceViewSet, ABC):
    """The ACL of a secret or a container: one sub-resource, the same below both."""

    collection: ClassVar[str]

    @property
    @abstractmethod
    def subject(self) -> Secret | Container:
        """What the ACL is about."""

    @described(
        Operation(
            summary="Show who may read",
            answer=Answer(
                status=HTTPStatus.OK,
                description="the ACL; without one, the default that this stands for",
                content={"application/json": ACL_SHOWN},
            ),
        )
    )
    def retrieve(self, request: Request, **_: str) -> Response:  # noqa: ARG002  # the route's
        """Who may read."""
        return Response(show_acl(services.read_acl(self.subject, actor=self.principal)))

    @described(
        Operation(
            summary="Replace the ACL",
            description="What the body does not name goes back to the default.",
            body=WANTED_ACL,
            answer=WRITTEN,
        )
    )
    def update(self, request: Request, **_: str) -> Response:
        """Replace it."""
        services.replace_acl(self.subject, wanted_access(json_object(request)), actor=self.principal)
        return self._where(request)

    @described(
        Operation(
            summary="Change the ACL",
            description="What the body does not name stays.",
            body=WANTED_ACL,
            answer=WRITTEN,
        )
    )
    def partial_update(self, request: Request, **_: str) -> Response:
        """Change what is named."""
        services.merge_acl(self.subject, wanted_access(json_object(request)), actor=self.principal)
        return self._where(request)

    @described(
        Operation(
            summary="Delete the ACL",
            description="The default holds again. Deleting none is fine too.",
            answer=Answer(
                status=HTTPStatus.OK,
                description="there is none",
                content={"application/json": {"type": "null"}},
            ),
        )
    )
    def destroy(self, request: Request, **_: str) -> HttpResponse:  # noqa: ARG002  # the route's
        """Back to what roles allow; answered with a body of ``null``, which some clients insist on."""
        services.delete_acl(self.subject, actor=self.principal)
        return HttpResponse(b"null", content_type="application/json")

    def _where(self, request: Request) -> Response:
        return Response({"acl_ref": ref(request, self.collection, f"{self.subject.id}/acl")})


class SecretACLViewSet(UnderSecret, ACLViewSet):
    """``/v1/secrets/{id}/acl``."""

    collection = "secrets"
    rules: ClassVar[dict[str, str]] = {
        "retrieve": "secret_acls:get",
        "update": "secret_acls:put_patch",
        "partial_update": "secret_acls:put_patch",
        "destroy": "secret_acls:delete",
    }

    @property
    def subject(self) -> Secret:
        """The secret."""
        return self.secret


class ContainerACLViewSet(UnderContainer, ACLViewSet):
    """``/v1/containers/{id}/acl``."""

    collection = "containers"
    rules: ClassVar[dict[str, str]] = {
        "retrieve": "container_acls:get",
        "update": "container_acls:put_patch",
        "partial_update": "container_acls:put_patch",
        "destroy": "container_acls:delete",
    }

    @property
    def subject(self) -> Container:
        """The container."""
        return self.container
