from typing import Any

from keepsite.api.fields import ContractSerializer, Text, moment_text
from keepsite.api.openapi import MOMENT, Component, record
from secrets_app.models import SecretConsumer
from secrets_app.services import SecretUse

_USE = {"service": {"type": "string"}, "resource_type": {"type": "string"}, "resource_id": {"type": "string"}}
USAGE = Component("SecretUsage", record(_USE, description="who uses a secret"))
SECRET_CONSUMER = Component(
    "SecretConsumer", record({"created": MOMENT, "updated": MOMENT, "status": {"const": "ACTIVE"}, **_USE})
)


class SecretUseSerializer(ContractSerializer):
    """The body of POST and DELETE on a secret's consumers."""

    schema = "Secret Consumer"

    service = Text(required=True, allow_blank=False)
    resource_type = Text(required=True, allow_blank=False)
    resource_id = Text(required=True, allow_blank=False)

    @classmethod
    def use(cls, body: object) -> SecretUse:
        """What ``body`` says.

        Raises:
            InvalidInput: one of the three is missing, empty or no string.
        """
        return SecretUse(**cls.checked(body))


def show_usage(consumer: SecretConsumer) -> dict[str, str]:
    """A consumer as secret objects list it."""
    return {
        "service": consumer.service,
        "resource_type": consumer.resource_type,
        "resource_id": consumer.resource_id,
    }


def show_consumer(consumer: SecretConsumer) -> dict[str, Any]:  # Any: JSON values
    """A consumer as its own list shows it, exactly its keys."""
    return {
        "created": moment_text(consumer.created_at),
        "updated": moment_text(consumer.updated_at),
        "status": "ACTIVE",
        **show_usage(consumer),
    }
