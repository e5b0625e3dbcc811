from secrets_app.models.consumer import SecretConsumer, triple_sha256
from secrets_app.models.secret import Payload, Secret

__all__ = ["Payload", "Secret", "SecretConsumer", "triple_sha256"]
