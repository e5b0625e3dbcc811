from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, ClassVar

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from keepsite.api.bodies import json_object
from keepsite.api.fields import ContractSerializer, Text
from keepsite.api.openapi import (
    ID,
    URL,
    Answer,
    Component,
    Operation,
    Parameter,
    Schema,
    described,
    made,
    paged,
    record,
)
from keepsite.api.paging import envelope
from keepsite.api.refs import ref
from keepsite.api.viewsets import ResourceViewSet
from secrets_app.models import TransportKey
from secrets_app.services import transport_keys

_MOMENT = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}$"}
TRANSPORT_KEY = Component(
    "TransportKey",
    record(
        {
            "id": ID,
            "plugin_name": {"type": "string"},
            "transport_key": {"type": "string"},
            "status": {"const": "ACTIVE"},
            "deleted": {"const": False},
            "deleted_at": {"type": "null"},
            "created_at": _MOMENT,
            "updated_at": _MOMENT,
        }
    ),
)


class NewTransportKeySerializer(ContractSerializer):
    """The body of POST /v1/transport_keys."""

    schema = "Transport Key"

    plugin_name = Text(required=True, allow_blank=False)
    transport_key = Text(required=True, allow_blank=False, max_chars=None)


class TransportKeyViewSet(ResourceViewSet):
    """``/v1/transport_keys``: kept for clients of stores that unwrap; ours does not."""

    rules: ClassVar[dict[str, str]] = {
        "list": "transport_keys:get",
        "create": "transport_keys:post",
        "retrieve": "transport_key:get",
        "destroy": "transport_key:delete",
    }
    path_parameters: ClassVar[Mapping[str, tuple[Schema, str]]] = {
        "key_id": (ID, "what follows the last slash of the key's ref"),
    }
    reads_accept = frozenset({"destroy"})

    def load(self) -> None:
        """Find the key that the URL names."""
        if "key_id" in self.kwargs:
            self.row = transport_keys.find_transport_key(self.kwargs["key_id"])

    @described(
        paged(
            "transport_keys",
            URL,
            summary="List transport keys",
            parameters=(
                Parameter(name="plugin_name", schema={"type": "string"}, description="the plugin's name"),
            ),
        )
    )
    def list(self, request: Request) -> Response:
        """One page of refs."""
        rows = TransportKey.objects.filter(deleted_at=None).order_by("created_at", "id")
        if plugin_name := request.query_params.get("plugin_name"):
            rows = rows.filter(plugin_name=plugin_name)
        return Response(
            envelope(
                request,
                rows,
                path="transport_keys",
                plural="transport_keys",
                show=lambda page: [ref(request, "transport_keys", row.id) for row in page],
            )
        )

    @described(
        Operation(
            summary="Register a transport key",
            body=NewTransportKeySerializer.component(),
            answer=made(HTTPStatus.CREATED, "transport_key_ref", "it is registered"),
        )
    )
    def create(self, request: Request) -> Response:
        """Register one."""
        values = NewTransportKeySerializer.checked(json_object(request))
        row = transport_keys.register_transport_key(actor=self.principal, **values)
        where = ref(request, "transport_keys", row.id)
        return Response({"transport_key_ref": where}, status=HTTPStatus.CREATED, headers={"Location": where})

    @described(
        Operation(
            summary="Show a transport key",
            answer=Answer(
                status=HTTPStatus.OK,
                description="the key",
                content={"application/json": TRANSPORT_KEY},
            ),
        )
    )
    def retrieve(self, request: Request, key_id: str) -> Response:  # noqa: ARG002  # the route's
        """One of them."""
        return Response(_shown(self.row))

    @described(
        Operation(
            summary="Take a transport key away",
            answer=Answer(status=HTTPStatus.NO_CONTENT, description="it is gone"),
        )
    )
    def destroy(self, request: Request, key_id: str) -> HttpResponse:  # noqa: ARG002  # the route's
        """Take one away."""
        transport_keys.delete_transport_key(self.row, actor=self.principal)
        return HttpResponse(status=HTTPStatus.NO_CONTENT)


def _shown(row: TransportKey) -> dict[str, Any]:  # Any: JSON values
    return {
        "id": row.id,
        "plugin_name": row.plugin_name,
        "transport_key": row.transport_key,
        "status": "ACTIVE",
        "deleted": False,
        "deleted_at": None,
        "created_at": _with_a_blank(row.created_at),
        "updated_at": _with_a_blank(row.updated_at),
    }


def _with_a_blank(moment: datetime) -> str:
    """This one resource separates date and time by a blank, and clients read it so."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"
