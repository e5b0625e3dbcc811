from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

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
from keepsite.errors import InvalidInput, NotFound
from keepsite.idempotency.services import KeyedRequest
from keepsite.identity.policy import Target
from orders_app import services
from orders_app.api.serializers import ORDER, NewOrderSerializer, OrderMetaSerializer, show_order
from orders_app.models import Order
from orders_app.waiting import wait_for_end
from secrets_app.services.secrets import check_expiration


class OrderViewSet(ResourceViewSet):
    """``/v1/orders`` and ``/v1/orders/{id}``."""

    rules: ClassVar[dict[str, str]] = {
        "list": "orders:get",
        "create": "orders:post",
        "retrieve": "order:get",
        "destroy": "order:delete",
    }
    path_parameters: ClassVar[Mapping[str, tuple[Schema, str]]] = {
        "order_id": (ID, "what follows the last slash of the order's ref"),
    }
    reads_accept = frozenset({"destroy"})
    order: Order

    def load(self) -> None:
        """Find the order that the URL names; other projects' orders do not exist for the caller."""
        if "order_id" not in self.kwargs:
            return
        orders = Order.objects.live().in_project(self.principal.project_id).select_related("project")
        order = orders.filter(id=self.kwargs["order_id"]).first()
        if order is None:
            raise NotFound("Order not found.")
        self.order = order

    def policy_target(self) -> Target | None:
        """The order's facts."""
        return services.target_of(self.order) if "order_id" in self.kwargs else None

    @described(
        paged(
            "orders",
            ORDER,
            summary="List orders",
            description="Those of the caller's project.",
            parameters=(
                Parameter(
                    name="meta", schema={"type": "string"}, description="a text that `meta`, as JSON, holds"
                ),
            ),
        )
    )
    def list(self, request: Request) -> Response:
        """One page of the project's orders."""
        now = timezone.now()
        orders = Order.objects.in_project(self.principal.project_id).order_by("created_at", "id")
        if text := request.query_params.get("meta"):
            orders = orders.filter(meta__icontains=text)
        listed = Listed(
            rows=orders, project_id=self.principal.project_id, filters=chosen(request.GET, ("meta",))
        )
        return Response(
            envelope(
                request,
                listed.live(now),
                path="orders",
                plural="orders",
                show=lambda page: [show_order(order, request) for order in page],
                count=lambda: TOTALS.of(listed, now),
            )
        )

    @described(
        Operation(
            summary="Place an order for a key or a pair",
            parameters=(idempotency.PARAMETER,),
            body=NewOrderSerializer.forms(),
            answer=made(HTTPStatus.ACCEPTED, "order_ref", "the order is kept, and will be fulfilled"),
            refusals={
                HTTPStatus.FORBIDDEN: "The caller's roles, or the project's quota, do not allow it.",
                **idempotency.REFUSALS,
            },
        )
    )
    def create(self, request: Request) -> Response:
        """Take an order; a worker fulfils it."""
        body = json_object(request)
        order_id = idempotency.make_once(
            request,
            kind="order",
            body=body,
            make=lambda keyed: self._place(body, keyed),
            caller=self.principal,
        )
        where = ref(request, "orders", order_id)
        return Response({"order_ref": where}, status=HTTPStatus.ACCEPTED, headers={"Location": where})

    def _place(self, body: dict[str, Any], keyed: KeyedRequest | None) -> Order:  # Any: JSON values
        wanted = NewOrderSerializer.checked(body)
        if not isinstance(body.get("meta"), dict):
            raise InvalidInput("meta must be an object with at least algorithm and bit_length.")
        values = OrderMetaSerializer.checked(body["meta"])
        order_type = Order.Type(wanted["type"])
        check_expiration(values.get("expiration"), now=timezone.now())
        has_private_key = order_type is Order.Type.ASYMMETRIC
        passphrase = OrderMetaSerializer.passphrase_of(values)
        return services.place_order(
            actor=self.principal,
            order_type=order_type,
            meta=OrderMetaSerializer.stored_form(values),
            passphrase=passphrase if has_private_key else None,
            keyed=keyed,
        )

    @described(
        Operation(
            summary="Show an order",
            answer=Answer(
                status=HTTPStatus.OK,
                description="how far it is, and what came of it",
                content={"application/json": ORDER},
            ),
        )
    )
    def retrieve(self, request: Request, order_id: str) -> Response:  # noqa: ARG002  # the route's
        """How far the order is, and what came of it."""
        return Response(show_order(wait_for_end(self.order, now=timezone.now()), request))

    @described(
        Operation(
            summary="Forget an order",
            description="What it made stays.",
            answer=Answer(status=HTTPStatus.NO_CONTENT, description="it is forgotten"),
        )
    )
    def destroy(self, request: Request, order_id: str) -> HttpResponse:  # noqa: ARG002  # the route's
        """Forget the order; what it made stays."""
        services.delete_order(self.order, actor=self.principal)
        return HttpResponse(status=HTTPStatus.NO_CONTENT)
