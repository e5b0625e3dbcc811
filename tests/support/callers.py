import json

from django.test import Client

from keepsite.identity.api_keys import create_api_key
from keepsite.identity.operators import command_principal
from tests.support.conformance import assert_conforms

JSON = "application/json"


class Caller:
    """Somebody who calls the API in this process, with a real API key."""

    def __init__(self, key, microversion="1.2"):
        self.key = key
        self.microversion = microversion
        self._client = Client(raise_request_exception=False)

    @classmethod
    def make(cls, *, project, user="u1", roles=("member",), **options):
        _, key = create_api_key(
            project_id=project, user_id=user, roles=roles, name="tests", actor=command_principal()
        )
        return cls(key, **options)

    def other(self, *, project="p1", user="u2", roles=("member",)):
        """Another caller."""
        return self.make(project=project, user=user, roles=roles, microversion=self.microversion)

    def at(self, microversion):
        """The same caller, speaking another microversion; None sends no header."""
        return Caller(self.key, microversion)

    def call(self, method, path, body=None, content_type=JSON, **headers):
        """The response to one request, which the API's document describes; a dict or list is sent as JSON.

        Header names are written with underscores: ``Accept="text/plain"``, ``Content_Encoding=...``.
        """
        data = json.dumps(body) if isinstance(body, dict | list) else (body if body is not None else b"")
        sent = {"X-Auth-Token": self.key} if self.key else {}
        if self.microversion is not None:
            sent["OpenStack-API-Version"] = f"key-manager {self.microversion}"
        if content_type and method not in {"GET", "HEAD", "OPTIONS"}:
            sent["Content-Type"] = content_type  # Django's client leaves it out where there is no body
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        response = self._client.generic(method, path, data, content_type=content_type or "", headers=sent)
        assert_conforms(method, path, response)
        return response

    def get(self, path, **headers):
        return self.call("GET", path, **headers)

    def post(self, path, body=None, **headers):
        return self.call("POST", path, body, **headers)

    def put(self, path, body=None, content_type="application/octet-stream", **headers):
        return self.call("PUT", path, body, content_type, **headers)

    def delete(self, path, body=None, **headers):
        return self.call("DELETE", path, body, **headers)

    def store(self, payload=None, **fields):
        """Store a secret; return the path of its ref."""
        body = dict(fields)
        if isinstance(payload, str):
            body |= {"payload": payload, "payload_content_type": "text/plain"}
        response = self.post("/v1/secrets", body)
        assert response.status_code == 201, response.content
        path = path_of(response.json()["secret_ref"])
        if isinstance(payload, bytes):
            assert self.put(path, payload).status_code == 204
        return path


def path_of(ref):
    """The path of an absolute ref."""
    return "/" + ref.split("/", 3)[3]
