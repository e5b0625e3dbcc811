from abc import ABC, abstractmethod
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from keepsite.api.bodies import json_object
from keepsite.api.openapi import ID, Answer, Component, Operation, Schema, described, paged
from keepsite.api.paging import envelope
from keepsite.api.refs import ref
from keepsite.api.viewsets import ResourceViewSet
from keepsite.errors import NotFound
from keepsite.ids import is_id
from secrets_app import services
from secrets_app.api.containers import UnderContainer
from secrets_app.api.secrets import UnderSecret
from secrets_app.api.serializers.consumers import SECRET_CONSUMER, SecretUseSerializer, show_consumer
from secrets_app.api.serializers.containers import (
    CONTAINER,
    CONTAINER_CONSUMER,
    ContainerUseSerializer,
    show_container_consumer,
    show_containers,
)
from secrets_app.api.serializers.secrets import SECRET, consumers_of, show_secret
from secrets_app.models import Container, Secret

CONSUMER_ID = (ID, "the id of a registration; no answer shows it")


class ConsumerViewSet(ResourceViewSet, ABC):
    """The consumers of a secret or a container: one sub-resource, alike below both."""

    collection: ClassVar[str]
    shown: ClassVar[Component]  # a consumer, as the document describes it
    shown_subject: ClassVar[Component]
    wanted: ClassVar[Component]  # the body of POST and DELETE

    @property
    @abstractmethod
    def subject(self) -> Secret | Container:
        """What is consumed."""

    @abstractmethod
    def use(self, body: dict[str, Any]) -> services.SecretUse | services.ContainerUse:  # Any: JSON values
        """What a body says."""

    @abstractmethod
    def show(self, consumer: Any) -> dict[str, Any]:  # Any: a row of either kind, JSON values
        """A consumer in the list."""

    @abstractmethod
    def show_subject(self, request: Request) -> dict[str, Any]:  # Any: JSON values
        """The secret or container, with its consumers: what registering and removing answer."""

    @described(lambda view: paged("consumers", view.shown, summary="List consumers"))
    def list(self, request: Request, **_: str) -> Response:
        """One page of the consumers."""
        return Response(
            envelope(
                request,
                services.live_consumers(self.subject),
                path=f"{self.collection}/{self.subject.id}/consumers",
                plural="consumers",
                show=lambda page: [self.show(consumer) for consumer in page],
            )
        )

    @described(
        lambda view: Operation(
            summary="Register a consumer",
            description="Registering it again is fine.",
            body=view.wanted,
            answer=Answer(
                status=HTTPStatus.OK,
                description="it is registered; what is consumed, with its consumers",
                content={"application/json": view.shown_subject},
                headers={"Location": "the list of consumers"},
            ),
            refusals={HTTPStatus.FORBIDDEN: "The caller's roles, or the project's quota, do not allow it."},
        )
    )
    def create(self, request: Request, **_: str) -> Response:
        """Register a consumer."""
        services.register_consumer(self.subject, self.use(json_object(request)), actor=self.principal)
        where = ref(request, self.collection, f"{self.subject.id}/consumers")
        return Response(self.show_subject(request), headers={"Location": where})

    @described(
        lambda view: Operation(
            summary="Remove a consumer",
            description="The body says which.",
            body=view.wanted,
            answer=Answer(
                status=HTTPStatus.OK,
                description="it is removed; what is consumed, with its consumers",
                content={"application/json": view.shown_subject},
            ),
        )
    )
    def remove(self, request: Request, **_: str) -> Response:
        """Remove a consumer, named by the body."""
        services.remove_consumer(self.subject, self.use(json_object(request)), actor=self.principal)
        return Response(self.show_subject(request))

    @described(
        lambda view: Operation(
            summary="Show a consumer",
            answer=Answer(
                status=HTTPStatus.OK,
                description="the consumer",
                content={"application/json": view.shown},
            ),
        )
    )
    def retrieve(self, request: Request, consumer_id: str, **_: str) -> Response:  # noqa: ARG002  # the route's
        """One consumer of this very secret or container."""
        found = (
            services.live_consumers(self.subject).filter(id=consumer_id).first()
            if is_id(consumer_id)
            else None
        )
        if found is None:
            raise NotFound("Consumer not found.")
        return Response(self.show(found))


class SecretConsumerViewSet(UnderSecret, ConsumerViewSet):
    """``/v1/secrets/{id}/consumers``."""

    collection = "secrets"
    path_parameters: ClassVar[Mapping[str, tuple[Schema, str]]] = {
        **UnderSecret.path_parameters,
        "consumer_id": CONSUMER_ID,
    }
    shown = SECRET_CONSUMER
    shown_subject = SECRET
    wanted = SecretUseSerializer.component()
    rules: ClassVar[dict[str, str]] = {
        "list": "secret_consumers:get",
        "create": "secret_consumers:post",
        "remove": "secret_consumers:delete",
        "retrieve": "consumer:get",
    }

    @property
    def subject(self) -> Secret:
        """The secret."""
        return self.secret

    def use(self, body: dict[str, Any]) -> services.SecretUse:  # Any: JSON values
        """Service and resource."""
        return SecretUseSerializer.use(body)

    def show(self, consumer: Any) -> dict[str, Any]:  # Any: a SecretConsumer, JSON values
        """A consumer in the list."""
        return show_consumer(consumer)

    def show_subject(self, request: Request) -> dict[str, Any]:  # Any: JSON values
        """The secret, with consumers at every microversion."""
        return show_secret(self.secret, request, consumers_of([self.secret])[self.secret.id])


class ContainerConsumerViewSet(UnderContainer, ConsumerViewSet):
    """``/v1/containers/{id}/consumers``."""

    collection = "containers"
    path_parameters: ClassVar[Mapping[str, tuple[Schema, str]]] = {
        **UnderContainer.path_parameters,
        "consumer_id": CONSUMER_ID,
    }
    shown = CONTAINER_CONSUMER
    shown_subject = CONTAINER
    wanted = ContainerUseSerializer.component()
    rules: ClassVar[dict[str, str]] = {
        "list": "container_consumers:get",
        "create": "container_consumers:post",
        "remove": "container_consumers:delete",
        "retrieve": "consumer:get",
    }

    @property
    def subject(self) -> Container:
        """The container."""
        return self.container

    def use(self, body: dict[str, Any]) -> services.ContainerUse:  # Any: JSON values
        """Name and URL."""
        return ContainerUseSerializer.use(body)

    def show(self, consumer: Any) -> dict[str, Any]:  # Any: a ContainerConsumer, JSON values
        """A consumer in the list."""
        return show_container_consumer(consumer)

    def show_subject(self, request: Request) -> dict[str, Any]:  # Any: JSON values
        """The container."""
        return show_containers([self.container], request)[0]
