from http import HTTPStatus
from typing import ClassVar

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from keepsite.api.bodies import json_object
from keepsite.api.refs import ref
from keepsite.errors import Conflict
from secrets_app import services
from secrets_app.api.secrets import UnderSecret
from secrets_app.api.serializers.metadata import one_note, whole_set


class SecretMetadataViewSet(UnderSecret):
    """``/v1/secrets/{id}/metadata``, a client's own notes on a secret, and each of them."""

    rules: ClassVar[dict[str, str]] = {
        "list": "secret_meta:get",
        "replace": "secret_meta:put",
        "create": "secret_meta:post",
        "retrieve": "secret_meta:get",
        "update": "secret_meta:put",
        "destroy": "secret_meta:delete",
    }
    reads_accept = frozenset({"update", "destroy"})

    def list(self, request: Request, secret_id: str) -> Response:  # noqa: ARG002  # the route's
        """All notes."""
        return Response({"metadata": services.read_metadata(self.secret, actor=self.principal)})

    def replace(self, request: Request, secret_id: str) -> Response:
        """Make the body all there is."""
        services.replace_metadata(self.secret, whole_set(json_object(request)), actor=self.principal)
        where = ref(request, "secrets", f"{secret_id}/metadata")
        return Response({"metadata_ref": where}, status=HTTPStatus.CREATED)

    def create(self, request: Request, secret_id: str, name: str | None = None) -> Response:
        """Add one note; python-barbicanclient names it in the path too."""
        key, value = one_note(json_object(request))
        if name is not None and name.lower() != key:
            raise Conflict("The key in the body is not the one in the path.")
        services.add_metadatum(self.secret, key, value, actor=self.principal)
        where = ref(request, "secrets", f"{secret_id}/metadata/{key}")
        return Response({"key": key, "value": value}, status=HTTPStatus.CREATED, headers={"Location": where})

    def retrieve(self, request: Request, secret_id: str, name: str) -> Response:  # noqa: ARG002  # the route's
        """One note."""
        value = services.read_metadatum(self.secret, name, actor=self.principal)
        return Response({"key": name.lower(), "value": value})

    def update(self, request: Request, secret_id: str, name: str) -> Response:  # noqa: ARG002  # the route's
        """Give one note another value."""
        key, value = one_note(json_object(request))
        if name.lower() != key:
            raise Conflict("The key in the body is not the one in the path.")
        services.change_metadatum(self.secret, key, value, actor=self.principal)
        return Response({"key": key, "value": value})

    def destroy(self, request: Request, secret_id: str, name: str) -> HttpResponse:  # noqa: ARG002  # the route's
        """Remove one note."""
        services.delete_metadatum(self.secret, name, actor=self.principal)
        return HttpResponse(status=HTTPStatus.NO_CONTENT)
