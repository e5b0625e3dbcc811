import http.client
import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a product answered."""

    status: int
    headers: dict[str, str]
    content: bytes

    def json(self):
        return json.loads(self.content)


class Remote:
    """Calls a product over a real connection, one for each call; a product that dies raises OSError."""

    def __init__(self, product, key=None):
        self.product = product
        self.key = product.key if key is None else key

    def call(self, method, path, body=None, content_type="application/json", **headers):
        data = json.dumps(body).encode() if isinstance(body, dict | list) else body
        sent = {"X-Auth-Token": self.key, "OpenStack-API-Version": "key-manager 1.2"}
        sent |= {"Content-Type": content_type} if data is not None else {}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.product.port, timeout=30)
        try:
            connection.request(method, path, data, sent)
            response = connection.getresponse()
            content = response.read()
        except http.client.HTTPException as error:
            raise ConnectionError("the server went away") from error
        finally:
            connection.close()
        return Answer(status=response.status, headers=dict(response.headers), content=content)

    def get(self, path, **headers):
        return self.call("GET", path, **headers)

    def post(self, path, body, **headers):
        return self.call("POST", path, body, **headers)

    def store(self, text, *, key=None, **fields):
        """Store a text payload, perhaps under an idempotency key; the path of the acknowledged ref."""
        body = {"payload": text, "payload_content_type": "text/plain"} | fields
        answer = self.post("/v1/secrets", body, **({"Idempotency_Key": f'"{key}"'} if key else {}))
        assert answer.status == 201, answer.content
        return answer.json()["secret_ref"].removeprefix(self.product.url)

    def order_key(self):
        """Order an AES-256 key; the path of the acknowledged ref."""
        answer = self.post("/v1/orders", {"type": "key", "meta": {"algorithm": "aes", "bit_length": 256}})
        assert answer.status == 202, answer.content
        return answer.json()["order_ref"].removeprefix(self.product.url)
