from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from keepsite.api.fields import moment_text
from keepsite.api.openapi import (
    ID,
    MOMENT,
    URL,
    Answer,
    Component,
    Operation,
    Schema,
    array,
    described,
    nullable,
    record,
)
from keepsite.api.refs import ref
from keepsite.api.viewsets import ResourceViewSet
from secrets_app import stores

STORE = Component(
    "SecretStore",
    record(
        {
            "created": MOMENT,
            "updated": MOMENT,
            "status": {"const": "ACTIVE"},
            "name": {"type": "string"},
            "secret_store_plugin": {"type": "string"},
            "crypto_plugin": nullable({"type": "string"}),
            "global_default": {"type": "boolean"},
            "secret_store_ref": URL,
        }
    ),
)
ONE = Answer(status=HTTPStatus.OK, description="the store", content={"application/json": STORE})
PREFERS_NONE = {HTTPStatus.NOT_FOUND: "The project prefers none."}


class SecretStoreViewSet(ResourceViewSet):
    """``/v1/secret-stores``: where secrets are kept, and which place a project prefers."""

    rules: ClassVar[dict[str, str]] = {
        "list": "secretstores:get",
        "retrieve": "secretstore:get",
        "global_default": "secretstores:get_global_default",
        "preferred": "secretstores:get_preferred",
        "prefer": "secretstore_preferred:post",
        "prefer_none": "secretstore_preferred:delete",
    }
    path_parameters: ClassVar[Mapping[str, tuple[Schema, str]]] = {
        "store_id": (ID, "what follows the last slash of the store's ref"),
    }
    reads_accept = frozenset({"prefer", "prefer_none"})

    def load(self) -> None:
        """Find the store that the URL names."""
        if "store_id" in self.kwargs:
            self.store = stores.find_store(self.kwargs["store_id"])

    @described(
        Operation(
            summary="List secret stores",
            answer=Answer(
                status=HTTPStatus.OK,
                description="all of them",
                content={"application/json": record({"secret_stores": array(STORE)})},
            ),
        )
    )
    def list(self, request: Request) -> Response:
        """All of them."""
        return Response({"secret_stores": [_shown(store, request) for store in stores.STORES]})

    @described(Operation(summary="Show a secret store", answer=ONE))
    def retrieve(self, request: Request, store_id: str) -> Response:  # noqa: ARG002  # the route's
        """One of them."""
        return Response(_shown(self.store, request))

    @described(Operation(summary="Show the store that is used where nothing is preferred", answer=ONE))
    def global_default(self, request: Request) -> Response:
        """The one that is used where a project prefers none."""
        return Response(_shown(next(store for store in stores.STORES if store.is_global_default), request))

    @described(
        Operation(
            summary="Show the store that the caller's project prefers", answer=ONE, refusals=PREFERS_NONE
        )
    )
    def preferred(self, request: Request) -> Response:
        """The one that the caller's project prefers."""
        return Response(_shown(stores.preferred_store(self.principal.project_id), request))

    @described(
        Operation(
            summary="Prefer a store",
            answer=Answer(status=HTTPStatus.NO_CONTENT, description="new secrets of the project go there"),
        )
    )
    def prefer(self, request: Request, store_id: str) -> HttpResponse:  # noqa: ARG002  # the route's
        """Prefer this one."""
        stores.prefer(self.store, actor=self.principal)
        return HttpResponse(status=HTTPStatus.NO_CONTENT)

    @described(
        Operation(
            summary="Prefer no store",
            answer=Answer(status=HTTPStatus.NO_CONTENT, description="the global default is used again"),
            refusals={HTTPStatus.NOT_FOUND: "There is no such store, or the project prefers none."},
        )
    )
    def prefer_none(self, request: Request, store_id: str) -> HttpResponse:  # noqa: ARG002  # the route's
        """Prefer none; which one the path names does not matter."""
        stores.prefer_none(actor=self.principal)
        return HttpResponse(status=HTTPStatus.NO_CONTENT)


def _shown(store: stores.SecretStore, request: Request) -> dict[str, Any]:  # Any: JSON values
    return {
        "created": moment_text(store.since),
        "updated": moment_text(store.since),
        "status": "ACTIVE",
        "name": store.name,
        "secret_store_plugin": store.secret_store_plugin,
        "crypto_plugin": store.crypto_plugin,
        "global_default": store.is_global_default,
        "secret_store_ref": ref(request, "secret-stores", store.id),
    }
