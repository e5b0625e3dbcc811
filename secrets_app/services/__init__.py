from secrets_app.services.consumers import Usage, live_consumers, register_consumer, remove_consumer
from secrets_app.services.payloads import read_payload, require_payload_wanted, store_payload
from secrets_app.services.secrets import Description, NewPayload, create_secret, delete_secret, target_of

__all__ = [
    "Description",
    "NewPayload",
    "Usage",
    "create_secret",
    "delete_secret",
    "live_consumers",
    "read_payload",
    "register_consumer",
    "remove_consumer",
    "require_payload_wanted",
    "store_payload",
    "target_of",
]
