from secrets_app.models.acl import ACL, ACLUser
from secrets_app.models.consumer import Consumer, ContainerConsumer, SecretConsumer, digest
from secrets_app.models.container import Container, ContainerSecret
from secrets_app.models.metadatum import SecretMetadatum
from secrets_app.models.secret import Payload, Secret
from secrets_app.models.transport_key import TransportKey

__all__ = [
    "ACL",
    "ACLUser",
    "Consumer",
    "Container",
    "ContainerConsumer",
    "ContainerSecret",
    "Payload",
    "Secret",
    "SecretConsumer",
    "SecretMetadatum",
    "TransportKey",
    "digest",
]
