"""What requests are about: objects of the callers, made when they are asked for and made anew once gone."""

import json
import re

from tests.fuzz.calls import Call

JSON = (b"Content-Type", b"application/json")
NOVA = {"service": "nova", "resource_type": "instance", "resource_id": "i-1"}
USE = {"name": "lb", "URL": "https://lb.example/1"}


class World:
    """Fills ``@name@`` in requests: ids of objects that exist, and the callers' tokens."""

    def __init__(self, send, tokens):
        self._send = send
        self._tokens = {f"token:{name}": token.encode() for name, token in tokens.items()}
        self._ids = {}

    def filled(self, call):
        """``call`` with everything it names in place; what does not exist yet is made first."""
        wire = b"\n".join([call.target, call.body, *(value for _, value in call.headers)])
        for name in re.findall(rb"@([a-z]+)@", wire):
            self._ensure(name.decode())
        return call.filled(self._tokens | self._ids)

    def forget(self):
        """Make new objects from now on: the last request changed some."""
        self._ids.clear()

    def ask(self, method, path, body=None, *, token="member", headers=()):
        """The answer to a request as a well-behaved client makes it."""
        call = Call(
            method=method,
            target=path.encode(),
            headers=(
                (b"X-Auth-Token", self._tokens[f"token:{token}"]),
                (b"OpenStack-API-Version", b"key-manager 1.2"),
                *([JSON] if isinstance(body, dict) else []),
                *headers,
            ),
            body=json.dumps(body).encode() if isinstance(body, dict) else body or b"",
        )
        return self._send(call.filled(self._ids))

    def _ensure(self, name):
        if name in self._ids:
            return
        make = getattr(self, f"_make_{name}", None)
        if make is not None:
            self._ids[name] = make().encode()

    def _made(self, path, body, *, token="member"):
        answer = self.ask("POST", path, body, token=token)
        assert answer.is_success, f"{path}: {answer}"
        return next(iter(json.loads(answer.body).values())).rpartition("/")[2]

    def _make_secret(self):
        return self._made("/v1/secrets", {"name": "empty"})

    def _make_full(self):
        """A secret with payload, metadata and a consumer."""
        secret = self._made("/v1/secrets", {"payload": "p", "payload_content_type": "text/plain"})
        assert self.ask("PUT", f"/v1/secrets/{secret}/metadata", {"metadata": {"note": "n"}}).status == 201
        assert self.ask("POST", f"/v1/secrets/{secret}/consumers", NOVA).status == 200
        return secret

    def _make_container(self):
        """A generic container with one secret and a consumer."""
        self._ensure("secret")
        ref = f"http://localhost/v1/secrets/{self._ids['secret'].decode()}"
        body = {"type": "generic", "name": "c", "secret_refs": [{"name": "s", "secret_ref": ref}]}
        container = self._made("/v1/containers", body)
        assert self.ask("POST", f"/v1/containers/{container}/consumers", USE).status == 200
        return container

    def _make_order(self):
        return self._made("/v1/orders", {"type": "key", "meta": {"algorithm": "aes", "bit_length": 256}})

    def _make_key(self):
        return self._made("/v1/transport_keys", {"plugin_name": "p", "transport_key": "k"}, token="admin")

    def _make_store(self):
        stores = json.loads(self.ask("GET", "/v1/secret-stores").body)["secret_stores"]
        return stores[0]["secret_store_ref"].rpartition("/")[2]

    def _make_project(self):
        """A project with limits of its own."""
        answer = self.ask(
            "PUT", "/v1/project-quotas/limited", {"project_quotas": {"orders": 9}}, token="admin"
        )
        assert answer.status == 204, answer
        return "limited"
