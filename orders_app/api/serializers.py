from typing import Any

from rest_framework.request import Request

from keepsite.api.fields import ContractSerializer, ExactText, Integer, Moment, OneOf, Text, moment_text
from keepsite.api.openapi import (
    ABSENT,
    MOMENT,
    URL,
    Component,
    Schema,
    either,
    nullable,
    one_of,
    open_record,
    record,
    spelt,
)
from keepsite.api.refs import ref
from keepsite.errors import InvalidInput
from keepsite.keyring.sealed import Plaintext
from orders_app.models import Order
from orders_app.services import OFFERED
from secrets_app.api.content import BASE64, UTF8_TEXT, content_type_of
from secrets_app.api.serializers.secrets import BIT_LENGTH_MAX
from secrets_app.choices import ContentType, SecretType

BITS_PER_BYTE = 8
PASSPHRASE_MAX_BYTES = 1023  # OpenSSL takes no longer one for an encrypted private key


_META = record(
    {
        "name": nullable({"type": "string"}),
        "algorithm": {"type": "string"},
        "bit_length": {"type": "integer"},
        "expiration": nullable(MOMENT),
    },
    {"mode": {"type": "string"}, "payload_content_type": one_of(*ContentType.values)},
)
ORDER = Component(
    "Order",
    record(
        {
            "created": MOMENT,
            "updated": MOMENT,
            "status": one_of(*Order.Status.values),
            "type": one_of(*Order.Type.values),
            "meta": _META,
            "order_ref": URL,
        },
        {
            "secret_ref": {**URL, "description": "the key, once the order is ACTIVE"},
            "container_ref": {**URL, "description": "the pair, once the order is ACTIVE"},
            "creator_id": {"type": "string", "description": "the user who placed it"},
            "sub_status": {"type": "string"},
            "sub_status_message": {"type": "string"},
            "error_status_code": {"type": "string", "pattern": r"^\d{3}$"},
            "error_reason": {"type": "string", "description": "why it ended in ERROR"},
        },
    ),
)


class NewOrderSerializer(ContractSerializer):
    """The body of POST /v1/orders, but for ``meta``, which has a serializer of its own."""

    schema = "Order"

    type = OneOf(*Order.Type.values, required=True)

    @classmethod
    def forms(cls) -> Schema:
        """The body as the API's document describes it: one form for each type, with what is offered."""
        return either(*(cls._form(kind) for kind in Order.Type))

    @classmethod
    def _form(cls, kind: Order.Type) -> Component:
        offers = [
            open_record({"algorithm": spelt(algorithm), "bit_length": {"enum": list(lengths)}})
            for algorithm, lengths in OFFERED[kind].items()
        ]
        meta = Component(f"{kind.title()}Meta", {**OrderMetaSerializer.described(), "anyOf": offers})
        return Component(
            f"New{kind.title()}Order", open_record({"type": {"const": kind.value}, "meta": meta})
        )


class OrderMetaSerializer(ContractSerializer):
    """``meta`` of an order: what a new secret may say, and what a key needs."""

    schema = "'Secret' within 'Order'"

    name = Text(allow_null=True)
    algorithm = Text(required=True, allow_blank=False)
    bit_length = Integer(low=1, high=BIT_LENGTH_MAX, required=True)
    mode = Text()
    expiration = Moment()
    secret_type = OneOf(*SecretType.values)
    payload = ExactText(allow_null=True)
    payload_content_type = Text(allow_null=True)
    payload_content_encoding = OneOf(BASE64)
    passphrase = ExactText(allow_null=True)
    pass_phrase = ExactText(allow_null=True)  # what python-barbicanclient and heat send

    @classmethod
    def described(cls) -> dict[str, Any]:  # Any: JSON values
        """``meta`` as the API's document describes it, but for which lengths go with which algorithm."""
        passphrase = nullable({"type": "string", "maxLength": PASSPHRASE_MAX_BYTES})
        content_type = spelt(*ContentType.values, *UTF8_TEXT)
        about = cls.properties()
        return open_record(
            {},
            {name: schema for name, schema in about.items() if name not in {"algorithm", "bit_length"}}
            | {
                "payload": ABSENT,
                "payload_content_type": either(content_type, {"type": "null"}),
                "passphrase": passphrase,
                "pass_phrase": passphrase | {"description": "the same as passphrase"},
            },
        )

    @classmethod
    def passphrase_of(cls, values: dict[str, Any]) -> Plaintext | None:  # Any: JSON values
        """The pass phrase for a private key, by either of its names; an empty one is none.

        Raises:
            InvalidInput: longer than any format of a private key takes, or not text.
        """
        text = values.get("passphrase") or values.get("pass_phrase")
        if not text:
            return None
        try:
            encoded = text.encode("utf-8")
        except UnicodeEncodeError:  # without its cause, which quotes the text
            raise InvalidInput("The pass phrase holds half of a surrogate pair, which is not text.") from None
        if len(encoded) > PASSPHRASE_MAX_BYTES:
            raise InvalidInput(f"The pass phrase may have at most {PASSPHRASE_MAX_BYTES} bytes.")
        return Plaintext(encoded)

    @classmethod
    def stored_form(cls, values: dict[str, Any]) -> dict[str, Any]:  # Any: JSON values
        """What is kept and echoed: only names that python-barbicanclient can read back.

        Raises:
            InvalidInput: there is a payload, or the length is no whole number of bytes.
        """
        if "payload" in values:
            raise InvalidInput("payload must be left out of an order: the service makes the key.")
        if values["algorithm"].lower() != "ec" and values["bit_length"] % BITS_PER_BYTE:
            raise InvalidInput("bit_length must be a multiple of 8.")
        expires_at = values.get("expiration")
        stored = {
            "name": values.get("name"),
            "algorithm": values["algorithm"],
            "bit_length": values["bit_length"],
            "expiration": None if expires_at is None else f"{expires_at:%Y-%m-%dT%H:%M:%S.%f}",
        }
        if "mode" in values:
            stored["mode"] = values["mode"]
        if values.get("payload_content_type") is not None:
            stored["payload_content_type"] = content_type_of(values["payload_content_type"]).value
        return stored


def show_order(order: Order, request: Request) -> dict[str, Any]:  # Any: JSON values
    """The order object; what is unset is absent, as python-barbicanclient demands."""
    shown: dict[str, Any] = {
        "created": moment_text(order.created_at),
        "updated": moment_text(order.updated_at),
        "status": order.status,
        "type": order.type,
        "meta": order.meta,
        "order_ref": ref(request, "orders", order.id),
    }
    if order.secret_id is not None:
        shown["secret_ref"] = ref(request, "secrets", order.secret_id)
    if order.container_id is not None:
        shown["container_ref"] = ref(request, "containers", order.container_id)
    for name in ("creator_id", "sub_status", "sub_status_message", "error_status_code", "error_reason"):
        if value := getattr(order, name):
            shown[name] = value
    return shown
