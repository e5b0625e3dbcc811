"""Errors: one body for all of them, JSON whatever was asked for, and no word too many."""

import pytest
from django.db import OperationalError, connection

from keepsite.errors import KeepsiteError
from secrets_app.models import Secret

UNKNOWN = "/v1/secrets/5d4f0c5e-2f4b-4b1e-9a51-0a8f3c1d2e3f"
REFUSED = {
    "bad request": ("POST", "/v1/secrets", {"body": {"bit_length": 0}}, 400, "Bad Request"),
    "no token": ("GET", "/v1/secrets", {"X_Auth_Token": ""}, 401, "Unauthorized"),
    "unknown secret": ("GET", UNKNOWN, {}, 404, "Not Found"),
    "unknown route": ("GET", "/v1/foo", {}, 404, "Not Found"),
    "no such method": ("PATCH", "/v1/secrets", {}, 405, "Method Not Allowed"),
    "not acceptable": ("GET", "/v1/secrets", {"Accept": "text/html"}, 406, "Not Acceptable"),
    "too large": (
        "POST",
        "/v1/secrets",
        {"body": {"payload": "x" * 20_001, "payload_content_type": "text/plain"}},
        413,
        "Request Entity Too Large",
    ),
    "wrong type": ("POST", "/v1/secrets", {"content_type": "text/xml"}, 415, "Unsupported Media Type"),
}


AWAY = {"sqlite": ("database is locked",), "mysql": (2006, "Server has gone away")}


def refused(fails):
    """Make every statement that ``fails`` names fail as if the server had gone."""

    def wrapper(execute, sql, params, many, context):
        if fails in sql:
            raise OperationalError(*AWAY[connection.vendor])
        return execute(sql, params, many, context)

    return connection.execute_wrapper(wrapper)


class TestBody:
    @pytest.mark.parametrize(
        ("method", "path", "options", "status", "title"), REFUSED.values(), ids=REFUSED.keys()
    )
    def test_every_error_has_code_title_and_description(self, api, method, path, options, status, title):
        response = api.call(method, path, **options)

        assert response.status_code == status
        assert response["Content-Type"] == "application/json"
        assert response.json()["code"] == status
        assert response.json()["title"] == title
        assert isinstance(response.json()["description"], str | None)

    @pytest.mark.parametrize("accept", ["text/html", "text/plain", "image/png", "*/*", ""])
    def test_an_error_is_json_whatever_was_asked_for(self, api, accept):
        response = api.get(UNKNOWN, Accept=accept)

        assert response["Content-Type"] == "application/json"
        assert response.json()["code"] == 404

    def test_not_acceptable_describes_nothing(self, api):
        assert api.get("/v1/secrets", Accept="text/html").json()["description"] is None

    def test_routing_errors_have_an_empty_description(self, api):
        assert api.get("/v1/cas").json()["description"] == ""
        assert api.call("PATCH", "/v1/secrets").json()["description"] == ""

    def test_a_malformed_secret_id_is_told_from_a_missing_secret(self, api):
        assert "Provided secret id is invalid." in api.get("/v1/secrets/nonsense").json()["description"]
        assert "Secret not found" in api.get(UNKNOWN).json()["description"]

    def test_validation_names_schema_and_property(self, api):
        description = api.post("/v1/secrets", {"bit_length": "many"}).json()["description"]

        assert "'Secret'" in description
        assert "'bit_length'" in description

    def test_401_keeps_keystones_shape_beside_ours(self, api):
        body = api.get("/v1/secrets", X_Auth_Token="").json()

        assert body["error"] == {"code": 401, "title": "Unauthorized", "message": body["description"]}


class TestFailures:
    def test_an_unexpected_failure_says_one_generic_line(self, api, monkeypatch):
        monkeypatch.setattr("secrets_app.services.create_secret", lambda **_: 1 / 0)

        response = api.post("/v1/secrets", {})

        assert response.status_code == 500
        assert response.json() == {
            "code": 500,
            "title": "Internal Server Error",
            "description": KeepsiteError.public,
        }

    def test_a_token_that_refuses_our_call_is_a_generic_500(self, api, shim):
        api.store("warms the key")
        shim.answer(0x07, "C_EncryptInit")

        response = api.post("/v1/secrets", {"payload": "x", "payload_content_type": "text/plain"})

        assert response.status_code == 500
        assert response.json()["description"] == KeepsiteError.public
        assert Secret.objects.count() == 1

    def test_a_token_that_is_away_is_503_with_retry_after(self, api, shim):
        api.store("warms the key")
        shim.answer(0x30)

        response = api.post("/v1/secrets", {"payload": "x", "payload_content_type": "text/plain"})

        assert response.status_code == 503
        assert response.json()["title"] == "Service Unavailable"
        assert int(response["Retry-After"]) >= 1
        assert Secret.objects.count() == 1

    def test_a_database_that_is_away_is_503_with_retry_after(self, api):
        with refused("secrets_app_secret"):
            response = api.get(UNKNOWN)

        assert response.status_code == 503
        assert response.json()["code"] == 503
        assert int(response["Retry-After"]) >= 1

    def test_a_database_that_is_away_during_authentication_is_503_and_never_401(self, api):
        with refused("identity_apikey"):
            response = api.get(UNKNOWN)

        assert response.status_code == 503
        assert response.json()["code"] == 503

    def test_what_the_database_said_is_not_answered(self, api):
        with refused("secrets_app_secret"):
            response = api.get(UNKNOWN)

        assert b"gone away" not in response.content
        assert b"locked" not in response.content
        assert b"SELECT" not in response.content
