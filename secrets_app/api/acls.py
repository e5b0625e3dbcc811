from abc import ABC, abstractmethod
from typing import ClassVar

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from keepsite.api.bodies import json_object
from keepsite.api.refs import ref
from keepsite.api.viewsets import ResourceViewSet
from secrets_app import services
from secrets_app.api.containers import UnderContainer
from secrets_app.api.secrets import UnderSecret
from secrets_app.api.serializers.acls import show_acl, wanted_access
from secrets_app.models import Container, Secret


class ACLViewSet(ResourceViewSet, ABC):
    """The ACL of a secret or a container: one sub-resource, the same below both."""

    collection: ClassVar[str]

    @property
    @abstractmethod
    def subject(self) -> Secret | Container:
        """What the ACL is about."""

    def retrieve(self, request: Request, **_: str) -> Response:  # noqa: ARG002  # the route's
        """Who may read."""
        return Response(show_acl(services.read_acl(self.subject, actor=self.principal)))

    def update(self, request: Request, **_: str) -> Response:
        """Replace it."""
        services.replace_acl(self.subject, wanted_access(json_object(request)), actor=self.principal)
        return self._where(request)

    def partial_update(self, request: Request, **_: str) -> Response:
        """Change what is named."""
        services.merge_acl(self.subject, wanted_access(json_object(request)), actor=self.principal)
        return self._where(request)

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
