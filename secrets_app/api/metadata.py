from collections.abc import Mapping
from http import HTTPStatus
from typing import ClassVar

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from keepsite.api.bodies import json_object
from keepsite.api.openapi import URL, Answer, Operation, Schema, described, record
from keepsite.api.refs import ref
from keepsite.errors import Conflict
from secrets_app import services
from secrets_app.api.secrets import UnderSecret
from secrets_app.api.serializers.metadata import METADATA, METADATUM, one_note, whole_set


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
    path_parameters: ClassVar[Mapping[str, tuple[Schema, str]]] = {
        **UnderSecret.path_parameters,
        "name": ({"type": "string", "minLength": 1}, "the key, in whatever case"),
    }
    reads_accept = frozenset({"update", "destroy"})

    @described(
        Operation(
            summary="Show all metadata",
            answer=Answer(
                status=HTTPStatus.OK,
                description="keys, in lower case, and values",
                content={"application/json": METADATA},
            ),
        )
    )
    def list(self, request: Request, secret_id: str) -> Response:  # noqa: ARG002  # the route's
        """All notes."""
        return Response({"metadata": services.read_metadata(self.secret, actor=self.principal)})

    @described(
        Operation(
            summary="Replace all metadata",
            body=METADATA,
            answer=Answer(
                status=HTTPStatus.CREATED,
                description="the body is all there is",
                content={"application/json": record({"metadata_ref": URL})},
            ),
        )
    )
    def replace(self, request: Request, secret_id: str) -> Response:
        """Make the body all there is."""
        services.replace_metadata(self.secret, whole_set(json_object(request)), actor=self.principal)
        where = ref(request, "secrets", f"{secret_id}/metadata")
        return Response({"metadata_ref": where}, status=HTTPStatus.CREATED)

    @described(
        Operation(
            summary="Add one key and value",
            body=METADATUM,
            answer=Answer(
                status=HTTPStatus.CREATED,
                description="it is added",
                content={"application/json": METADATUM},
                headers={"Location": "where it is"},
            ),
            refusals={HTTPStatus.CONFLICT: "The secret has this key already, or the path names another one."},
        )
    )
    def create(self, request: Request, secret_id: str, name: str | None = None) -> Response:
        """Add one note; python-barbicanclient names it in the path too."""
        key, value = one_note(json_object(request))
        if name is not None and name.lower() != key:
            raise Conflict("The key in the body is not the one in the path.")
        services.add_metadatum(self.secret, key, value, actor=self.principal)
        where = ref(request, "secrets", f"{secret_id}/metadata/{key}")
        return Response({"key": key, "value": value}, status=HTTPStatus.CREATED, headers={"Location": where})

    @described(
        Operation(
            summary="Show the value of one key",
            answer=Answer(
                status=HTTPStatus.OK,
                description="key and value",
                content={"application/json": METADATUM},
            ),
            refusals={HTTPStatus.NOT_FOUND: "There is no such secret, or it has no such key."},
        )
    )
    def retrieve(self, request: Request, secret_id: str, name: str) -> Response:  # noqa: ARG002  # the route's
        """One note."""
        value = services.read_metadatum(self.secret, name, actor=self.principal)
        return Response({"key": name.lower(), "value": value})

    @described(
        Operation(
            summary="Change the value of one key",
            body=METADATUM,
            answer=Answer(
                status=HTTPStatus.OK,
                description="it is changed",
                content={"application/json": METADATUM},
            ),
            refusals={
                HTTPStatus.NOT_FOUND: "There is no such secret, or it has no such key.",
                HTTPStatus.CONFLICT: "The path names another key than the body.",
            },
        )
    )
    def update(self, request: Request, secret_id: str, name: str) -> Response:  # noqa: ARG002  # the route's
        """Give one note another value."""
        key, value = one_note(json_object(request))
        if name.lower() != key:
            raise Conflict("The key in the body is not the one in the path.")
        services.change_metadatum(self.secret, key, value, actor=self.principal)
        return Response({"key": key, "value": value})

    @described(
        Operation(
            summary="Remove one key",
            answer=Answer(status=HTTPStatus.NO_CONTENT, description="there is no such key, or no longer"),
        )
    )
    def destroy(self, request: Request, secret_id: str, name: str) -> HttpResponse:  # noqa: ARG002  # the route's
        """Remove one note."""
        services.delete_metadatum(self.secret, name, actor=self.principal)
        return HttpResponse(status=HTTPStatus.NO_CONTENT)
