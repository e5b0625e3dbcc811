import base64
import hashlib
import json
import secrets
from pathlib import Path

DEPLOYED = Path(__file__).resolve().parents[3] / "deploy/rabbitmq"


def definitions(*, user: str, password: str, may: str) -> dict[str, object]:
    """The deployed policies and a user with the rights ``may``, a pattern; a broker loads them at its start.

    Source: RabbitMQ, "Credentials and Passwords": base64(salt + SHA-256(salt + password)).
    """
    salt = secrets.token_bytes(4)
    digest = hashlib.sha256(salt + password.encode()).digest()
    return json.loads((DEPLOYED / "policies.json").read_text()) | {
        "vhosts": [{"name": "/"}],
        "users": [
            {
                "name": user,
                "password_hash": base64.b64encode(salt + digest).decode(),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": "",
            }
        ],
        "permissions": [{"user": user, "vhost": "/", **dict.fromkeys(("configure", "write", "read"), may)}],
    }
