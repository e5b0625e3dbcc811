from collections.abc import Mapping, Sequence
from typing import Any

from rest_framework.request import Request

from keepsite.api.fields import ContractSerializer, OneOf, Text, moment_text
from keepsite.api.openapi import (
    MOMENT,
    URL,
    Component,
    Schema,
    array,
    either,
    nullable,
    one_of,
    open_record,
    record,
)
from keepsite.api.refs import ref
from keepsite.errors import InvalidInput
from keepsite.ids import is_id
from secrets_app.choices import ContainerType
from secrets_app.models import Container, ContainerConsumer, ContainerSecret
from secrets_app.services import PLACES, ContainerUse, Place

CONSUMER_URL = {"type": "string", "description": "any text; nobody follows it"}
CONTAINER = Component(
    "Container",
    record(
        {
            "created": MOMENT,
            "updated": MOMENT,
            "status": {"const": "ACTIVE"},
            "name": nullable({"type": "string"}),
            "type": one_of(*ContainerType.values),
            "creator_id": nullable({"type": "string", "description": "the user who made it"}),
            "secret_refs": array(record({"name": nullable({"type": "string"}), "secret_ref": URL})),
            "consumers": array(record({"name": {"type": "string"}, "URL": CONSUMER_URL})),
            "container_ref": URL,
        }
    ),
)
CONTAINER_CONSUMER = Component(
    "ContainerConsumer",
    record(
        {
            "created": MOMENT,
            "updated": MOMENT,
            "status": {"const": "ACTIVE"},
            "name": {"type": "string"},
            "URL": CONSUMER_URL,
        }
    ),
)


class NewContainerSerializer(ContractSerializer):
    """The body of POST /v1/containers, but for ``secret_refs``."""

    schema = "Container"

    type = OneOf(*ContainerType.values, required=True)
    name = Text(allow_null=True)

    @classmethod
    def forms(cls) -> Schema:
        """The body as the API's document describes it, ``secret_refs`` included: one form for each type."""
        return either(*(cls._form(kind) for kind in ContainerType))

    @classmethod
    def _form(cls, kind: ContainerType) -> Component:
        properties = cls.properties()
        places = array(NamedPlaceSerializer.component())
        more: dict[str, Any] = {"description": "no name and no secret twice"}
        if kind in PLACES:
            accepted, needed = PLACES[kind]
            named = open_record(
                {"name": one_of(*sorted(accepted)), "secret_ref": PlaceSerializer.properties()["secret_ref"]}
            )
            holding = {
                "allOf": [{"contains": open_record({"name": {"const": name}})} for name in sorted(needed)]
            }
            places = either({"type": "array", "maxItems": 0}, {**array(named), **holding})
            more = {}
        return Component(
            f"New{kind.title()}Container",
            open_record(
                {"type": {"const": kind.value}},
                {"name": properties["name"], "secret_refs": {**places, **more}},
            ),
        )


class PlaceSerializer(ContractSerializer):
    """A secret in a container: its ref, and its name there."""

    schema = "ContainerSecret"

    secret_ref = Text(required=True, allow_blank=False, max_chars=None)
    name = Text()

    @classmethod
    def place(cls, body: object) -> Place:
        """What ``body`` says.

        Raises:
            InvalidInput: no ref, or a name that is no text.
        """
        values = cls.checked(body)
        return Place(secret_id=id_in(values["secret_ref"]), name=values.get("name") or "")


class NamedPlaceSerializer(PlaceSerializer):
    """The same within a new container, where a name may be null."""

    schema = "Container"

    name = Text(allow_null=True)


def places_of(body: Mapping[str, Any]) -> list[Place]:  # Any: JSON values
    """The places that a new container's ``secret_refs`` names.

    Raises:
        InvalidInput: it is no list of objects.
    """
    refs = body.get("secret_refs", [])
    if not isinstance(refs, list) or not all(isinstance(item, dict) for item in refs):
        raise InvalidInput(
            "Provided object does not match schema 'Container': secret_refs must be a list of objects."
        )
    return [NamedPlaceSerializer.place(item) for item in refs]


def id_in(secret_ref: str) -> str:
    """The id that a ref ends with; a bare id is taken too, whatever host a ref names.

    What is no id of ours is returned as it is: no secret has it.
    """
    last = secret_ref.rstrip("/").rpartition("/")[2]
    return last if is_id(last) else secret_ref[:36]


def show_container(
    container: Container,
    request: Request,
    *,
    places: Sequence[ContainerSecret],
    consumers: Sequence[ContainerConsumer],
) -> dict[str, Any]:  # Any: JSON values
    """The container object, all its keys always there."""
    return {
        "created": moment_text(container.created_at),
        "updated": moment_text(container.updated_at),
        "status": container.status,
        "name": container.name,
        "type": container.type,
        "creator_id": container.creator_id,
        "secret_refs": [
            {"name": place.name or None, "secret_ref": ref(request, "secrets", place.secret_id)}
            for place in places
        ],
        "consumers": [{"name": consumer.name, "URL": consumer.url} for consumer in consumers],
        "container_ref": ref(request, "containers", container.id),
    }


def show_containers(
    containers: Sequence[Container], request: Request
) -> list[dict[str, Any]]:  # Any: JSON values
    """A page of container objects; two more SQL statements, whatever its size."""
    ids = [container.id for container in containers]
    places = _by_container(ContainerSecret.objects.filter(container__in=ids, secret__deleted_at=None), ids)
    used = [container.id for container in containers if container.had_consumers]
    consumers = _by_container(
        ContainerConsumer.objects.filter(container__in=used, deleted_at=None) if used else [], ids
    )
    return [
        show_container(container, request, places=places[container.id], consumers=consumers[container.id])
        for container in containers
    ]


def _by_container(rows: Any, ids: Sequence[str]) -> dict[str, list[Any]]:  # Any: rows of either kind
    found: dict[str, list[Any]] = {container_id: [] for container_id in ids}
    for row in sorted(rows, key=lambda row: (row.created_at, row.id)):
        found[row.container_id].append(row)
    return found


class ContainerUseSerializer(ContractSerializer):
    """The body of POST and DELETE on a container's consumers."""

    schema = "Consumer"

    name = Text(required=True, allow_blank=False)
    URL = Text(required=True, allow_blank=False)

    @classmethod
    def use(cls, body: object) -> ContainerUse:
        """What ``body`` says.

        Raises:
            InvalidInput: one of the two is missing, empty or no string.
        """
        values = cls.checked(body)
        return ContainerUse(name=values["name"], url=values["URL"])


def show_container_consumer(consumer: ContainerConsumer) -> dict[str, Any]:  # Any: JSON values
    """A consumer as its own list shows it."""
    return {
        "created": moment_text(consumer.created_at),
        "updated": moment_text(consumer.updated_at),
        "status": "ACTIVE",
        "name": consumer.name,
        "URL": consumer.url,
    }
