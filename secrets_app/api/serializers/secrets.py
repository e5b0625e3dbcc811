from collections.abc import Iterable, Sequence
from typing import Any

from django.conf import settings
from rest_framework.request import Request

from keepsite.api.fields import ContractSerializer, ExactText, Integer, Moment, OneOf, Text, moment_text
from keepsite.api.openapi import (
    ABSENT,
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
    spelt,
)
from keepsite.api.refs import ref
from keepsite.errors import InvalidInput
from secrets_app.api.content import BASE64, UTF8_TEXT, content_type_of, payload_from_json
from secrets_app.api.serializers.consumers import USAGE, show_usage
from secrets_app.choices import ContentType, SecretType
from secrets_app.limits import check_payload_size
from secrets_app.models import Secret, SecretConsumer
from secrets_app.services import Description, NewPayload

NO_TRANSPORT_KEYS = "{} must be left out: this service has no transport keys."
BIT_LENGTH_MAX = 32_767  # a signed 16-bit column, as the contract has it
_DIGIT = r"[A-Za-z0-9+/][ \t\r\n]*"
_PADDED = rf"((?:{_DIGIT}){{2}}=[ \t\r\n]*=|(?:{_DIGIT}){{3}}=)[ \t\r\n]*"
BASE64_TEXT = rf"^[ \t\r\n]*((?:(?:{_DIGIT}){{4}})+(?:{_PADDED})?|{_PADDED})$"  # RFC 4648 §4, never empty

SECRET = Component(
    "Secret",
    record(
        {
            "created": MOMENT,
            "updated": MOMENT,
            "status": {"const": "ACTIVE"},
            "name": nullable({"type": "string"}),
            "secret_type": one_of(*SecretType.values),
            "expiration": nullable(MOMENT),
            "algorithm": nullable({"type": "string"}),
            "bit_length": nullable({"type": "integer"}),
            "mode": nullable({"type": "string"}),
            "creator_id": nullable({"type": "string", "description": "the user who made it"}),
            "secret_ref": URL,
        },
        {
            "content_types": record(
                {"default": one_of(*ContentType.values)}, description="there is a payload, of this type"
            ),
            "consumers": array(USAGE),
        },
    ),
)


class NewSecretSerializer(ContractSerializer):
    """The body of POST /v1/secrets."""

    schema = "Secret"

    name = Text(allow_null=True)
    secret_type = OneOf(*SecretType.values)
    algorithm = Text()
    mode = Text()
    bit_length = Integer(low=1, high=BIT_LENGTH_MAX)
    expiration = Moment()
    payload = ExactText()
    payload_content_type = Text(allow_null=True)
    payload_content_encoding = OneOf(BASE64)
    transport_key_needed = OneOf("true", "false")
    transport_key_id = Text()

    @classmethod
    def forms(cls) -> Schema:
        """The body as the API's document describes it: without payload, with text, or with bytes."""
        about: dict[str, Schema] = {
            name: schema for name, schema in cls.properties().items() if not name.startswith("payload")
        }
        encoding = {"payload_content_encoding": one_of(BASE64)}
        longest = {"maxLength": settings.MAX_PAYLOAD_BYTES}
        no_key = {"transport_key_id": {"type": "string", "pattern": r"^\s*$"}}
        bare = {"payload": ABSENT, "payload_content_type": ABSENT}
        text = {"type": "string", "pattern": r"\S", **longest}
        octets = {"type": "string", "pattern": BASE64_TEXT, "contentEncoding": "base64", **longest}
        binary = spelt(ContentType.OCTETS, ContentType.PKCS8)
        return either(
            Component(
                "NewEmptySecret",
                open_record({}, about | encoding | bare, description="its payload comes later, by PUT"),
            ),
            Component(
                "NewTextSecret",
                open_record(
                    {"payload": text, "payload_content_type": spelt(ContentType.TEXT, *UTF8_TEXT)},
                    about | no_key | {"payload_content_encoding": ABSENT},
                    description="its payload is text, kept to the character",
                ),
            ),
            Component(
                "NewBinarySecret",
                open_record(
                    {"payload": octets, "payload_content_type": binary, **encoding},
                    about | no_key,
                    description="its payload is bytes, in base64",
                ),
            ),
        )

    @classmethod
    def description_of(cls, values: dict[str, Any]) -> Description:  # Any: each field's own type
        """What the validated ``values`` say about the secret."""
        return Description(
            name=values.get("name"),
            secret_type=SecretType(values.get("secret_type", SecretType.OPAQUE)),
            algorithm=values.get("algorithm"),
            mode=values.get("mode"),
            bit_length=values.get("bit_length"),
            expires_at=values.get("expiration"),
        )

    @classmethod
    def payload_of(cls, values: dict[str, Any]) -> NewPayload | None:  # Any: each field's own type
        """The payload that the validated ``values`` carry, or None.

        Raises:
            InvalidInput: payload and content type do not come together or do not fit; or it is to be
                wrapped by a transport key.
            TooLarge: the text is longer than KEEPSITE_MAX_PAYLOAD_BYTES.
        """
        if values.get("transport_key_needed") == "true":
            raise InvalidInput(NO_TRANSPORT_KEYS.format("transport_key_needed"))
        payload: str | None = values.get("payload")
        if payload is None:
            if "payload_content_type" in values:
                raise InvalidInput(
                    "payload must be given with payload_content_type; to add it later leave out both."
                )
            return None
        if not payload.strip():
            raise InvalidInput("payload must not be empty; to add it later leave it out.")
        content_type: str | None = values.get("payload_content_type")
        if content_type is None:
            raise InvalidInput("payload_content_type must be given with payload, such as text/plain.")
        check_payload_size(len(payload.encode("utf-8", "replace")))
        if values.get("transport_key_id"):
            raise InvalidInput(NO_TRANSPORT_KEYS.format("transport_key_id"))
        return payload_from_json(
            payload, content_type_of(content_type), values.get("payload_content_encoding")
        )


def show_secret(
    secret: Secret, request: Request, consumers: Iterable[SecretConsumer] | None
) -> dict[str, Any]:  # Any: JSON values
    """The secret object, exactly its keys: python-barbicanclient refuses any other.

    ``consumers`` is None where the microversion does not show them.
    """
    shown: dict[str, Any] = {
        "created": moment_text(secret.created_at),
        "updated": moment_text(secret.updated_at),
        "status": secret.status,
        "name": secret.name,
        "secret_type": secret.secret_type,
        "expiration": moment_text(secret.expires_at),
        "algorithm": secret.algorithm,
        "bit_length": secret.bit_length,
        "mode": secret.mode,
        "creator_id": secret.creator_id,
        "secret_ref": ref(request, "secrets", secret.id),
    }
    if secret.content_type is not None:
        shown["content_types"] = {"default": secret.content_type}
    if consumers is not None:
        shown["consumers"] = [show_usage(consumer) for consumer in consumers]
    return shown


def show_secrets(
    secrets: Sequence[Secret], request: Request, *, shows_consumers: bool
) -> list[dict[str, Any]]:  # Any: JSON values
    """A page of secret objects; one more SQL statement if any of them ever had consumers."""
    consumers = consumers_of(secrets) if shows_consumers else {}
    return [show_secret(secret, request, consumers.get(secret.id)) for secret in secrets]


def consumers_of(secrets: Sequence[Secret]) -> dict[str, list[SecretConsumer]]:
    """The consumers of each secret, by secret id; asks the database only about those that ever had any."""
    consumers: dict[str, list[SecretConsumer]] = {secret.id: [] for secret in secrets}
    asked = [secret.id for secret in secrets if secret.had_consumers]
    if asked:
        for consumer in SecretConsumer.objects.filter(secret__in=asked, deleted_at=None).order_by(
            "created_at", "id"
        ):
            consumers[consumer.secret_id].append(consumer)
    return consumers
