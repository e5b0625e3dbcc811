from http import HTTPStatus
from typing import ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from keepsite.api.bodies import json_object
from keepsite.api.paging import envelope
from keepsite.api.refs import ref
from secrets_app import services
from secrets_app.api.secrets import UnderSecret
from secrets_app.api.serializers.consumers import UsageSerializer, show_consumer
from secrets_app.api.serializers.secrets import consumers_of, show_secret


class SecretConsumerViewSet(UnderSecret):
    """``/v1/secrets/{id}/consumers``."""

    rules: ClassVar[dict[str, str]] = {
        "list": "secret_consumers:get",
        "create": "secret_consumers:post",
        "remove": "secret_consumers:delete",
    }

    def list(self, request: Request, secret_id: str) -> Response:
        """One page of the secret's consumers."""
        return Response(
            envelope(
                request,
                services.live_consumers(self.secret),
                path=f"secrets/{secret_id}/consumers",
                plural="consumers",
                show=lambda page: [show_consumer(consumer) for consumer in page],
            )
        )

    def create(self, request: Request, secret_id: str) -> Response:
        """Register a consumer; the answer is the secret."""
        services.register_consumer(
            self.secret, UsageSerializer.usage(json_object(request)), actor=self.principal
        )
        where = ref(request, "secrets", f"{secret_id}/consumers")
        return self._shown(request, headers={"Location": where})

    def remove(self, request: Request, secret_id: str) -> Response:  # noqa: ARG002  # the route's
        """Remove a consumer, named by the body; the answer is the secret."""
        services.remove_consumer(
            self.secret, UsageSerializer.usage(json_object(request)), actor=self.principal
        )
        return self._shown(request)

    def _shown(self, request: Request, headers: dict[str, str] | None = None) -> Response:
        consumers = consumers_of([self.secret])[self.secret.id]
        return Response(show_secret(self.secret, request, consumers), status=HTTPStatus.OK, headers=headers)
