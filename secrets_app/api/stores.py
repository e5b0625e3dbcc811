from http import HTTPStatus
from typing import Any, ClassVar

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from keepsite.api.fields import moment_text
from keepsite.api.refs import ref
from keepsite.api.viewsets import ResourceViewSet
from secrets_app import stores


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
    reads_accept = frozenset({"prefer", "prefer_none"})

    def load(self) -> None:
        """Find the store that the URL names."""
        if "store_id" in self.kwargs:
            self.store = stores.find_store(self.kwargs["store_id"])

    def list(self, request: Request) -> Response:
        """All of them."""
        return Response({"secret_stores": [_shown(store, request) for store in stores.STORES]})

    def retrieve(self, request: Request, store_id: str) -> Response:  # noqa: ARG002  # the route's
        """One of them."""
        return Response(_shown(self.store, request))

    def global_default(self, request: Request) -> Response:
        """The one that is used where a project prefers none."""
        return Response(_shown(next(store for store in stores.STORES if store.is_global_default), request))

    def preferred(self, request: Request) -> Response:
        """The one that the caller's project prefers."""
        return Response(_shown(stores.preferred_store(self.principal.project_id), request))

    def prefer(self, request: Request, store_id: str) -> HttpResponse:  # noqa: ARG002  # the route's
        """Prefer this one."""
        stores.prefer(self.store, actor=self.principal)
        return HttpResponse(status=HTTPStatus.NO_CONTENT)

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
