from secrets_app.admin.acls import ACLAdmin
from secrets_app.admin.consumers import ContainerConsumerAdmin, SecretConsumerAdmin
from secrets_app.admin.containers import ContainerAdmin
from secrets_app.admin.places import PlaceAdmin
from secrets_app.admin.secrets import SecretAdmin
from secrets_app.admin.transport_keys import TransportKeyAdmin

__all__ = [
    "ACLAdmin",
    "ContainerAdmin",
    "ContainerConsumerAdmin",
    "PlaceAdmin",
    "SecretAdmin",
    "SecretConsumerAdmin",
    "TransportKeyAdmin",
]
