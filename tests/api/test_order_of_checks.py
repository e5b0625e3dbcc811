"""Which of several faults decides: 401, 400/406 version, 404, 405, 406, 403, 415, 400, 413.

Source: spec/barbican-api.md §1.3.
"""

import pytest
from django.test import Client

from tests.support.callers import Caller

UNKNOWN = "/v1/secrets/5d4f0c5e-2f4b-4b1e-9a51-0a8f3c1d2e3f"


@pytest.fixture
def stranger(api):
    """Somebody without any role that counts, in another project."""
    return api.other(project="p2", roles=["reader"])


class TestAuthenticationFirst:
    @pytest.mark.parametrize(
        ("method", "path", "version", "accept"),
        [
            ("GET", "/v1/secrets", "9.9", ""),
            ("GET", "/v1/secrets", "abc", ""),
            ("GET", "/v1/unknown", "1.0", ""),
            ("PATCH", "/v1/secrets", "1.0", ""),
            ("GET", "/v1/secrets", "1.0", "text/html"),
            ("POST", "/v1/secrets", "1.0", ""),
        ],
        ids=["unsupported version", "malformed version", "404", "405", "406", "400"],
    )
    def test_401_comes_before_everything(self, db, method, path, version, accept):
        assert Caller("wrong", version).call(method, path, Accept=accept).status_code == 401


class TestVersionSecond:
    @pytest.mark.parametrize(("version", "status"), [("9.9", 406), ("abc", 400)])
    @pytest.mark.parametrize(
        ("method", "path"), [("GET", "/v1/unknown"), ("GET", UNKNOWN), ("PATCH", "/v1/secrets")]
    )
    def test_a_bad_version_comes_before_404_and_405(self, api, method, path, version, status):
        response = api.at(version).call(method, path)

        assert response.status_code == status
        assert "version" in response.json()["description"].lower()


class TestObjectThird:
    @pytest.mark.parametrize(
        "path",
        [
            UNKNOWN,
            f"{UNKNOWN}/payload",
            f"{UNKNOWN}/consumers",
            "/v1/orders/unknown",
            "/v1/secrets/x/payload",
        ],
    )
    @pytest.mark.parametrize("method", ["PATCH", "HEAD", "POST"])
    def test_404_comes_before_405(self, api, method, path):
        assert api.call(method, path).status_code == 404

    def test_404_comes_before_406_and_403(self, api, stranger):
        assert api.get(UNKNOWN, Accept="text/html").status_code == 404
        assert stranger.get(UNKNOWN).status_code == 404
        assert stranger.delete(UNKNOWN).status_code == 404

    def test_404_comes_before_415_and_400(self, api):
        assert api.put(UNKNOWN, b"", content_type="application/xml").status_code == 404

    def test_an_order_of_another_project_is_404(self, api, stranger):
        order = api.post("/v1/orders", {"type": "key", "meta": {"algorithm": "aes", "bit_length": 128}})
        path = "/" + order.json()["order_ref"].split("/", 3)[3]

        assert stranger.get(path).status_code == 404
        assert stranger.call("PATCH", path).status_code == 404


class TestMethodFourth:
    def test_405_comes_before_406_403_and_415(self, api, stranger):
        path = api.store("x")

        assert api.call("PATCH", path, Accept="text/html").status_code == 405
        assert stranger.call("PATCH", path).status_code == 405
        assert stranger.post(f"{path}/payload", content_type="text/xml").status_code == 405


class TestAcceptFifth:
    def test_406_comes_before_403(self, stranger):
        assert stranger.get("/v1/secrets").status_code == 403
        assert stranger.get("/v1/secrets", Accept="text/html").status_code == 406

    def test_406_comes_before_415_and_400(self, api):
        assert api.post("/v1/secrets", "x", content_type="text/xml", Accept="text/html").status_code == 406


class TestPolicySixth:
    def test_403_comes_before_415(self, stranger):
        assert stranger.post("/v1/secrets", "x", content_type="text/xml").status_code == 403

    def test_403_comes_before_400_and_413(self, stranger):
        assert stranger.post("/v1/secrets", "{").status_code == 403
        assert stranger.post("/v1/secrets", "x" * 30_000).status_code == 403
        assert stranger.post("/v1/orders", {"type": "wrong"}).status_code == 403

    def test_a_put_of_another_project_is_403_before_its_body_is_looked_at(self, api, stranger):
        assert stranger.put(api.store(), b"", content_type="text/xml").status_code == 403


class TestContentTypeSeventh:
    def test_415_comes_before_400_and_413(self, api):
        assert api.post("/v1/secrets", "{", content_type="text/plain").status_code == 415
        assert api.post("/v1/secrets", "x" * 30_000, content_type="text/plain").status_code == 415


class TestPutPayload:
    """Its own order: 415, 400 empty, 413, 409, 400 encoding."""

    def test_415_comes_before_an_empty_body(self, api):
        assert api.put(api.store("x"), b"", content_type="application/json").status_code == 415

    def test_an_empty_body_comes_before_the_conflict(self, api):
        assert api.put(api.store("x"), b"").status_code == 400

    def test_413_comes_before_the_conflict(self, api):
        assert api.put(api.store("x"), b"x" * 20_001).status_code == 413

    def test_the_conflict_comes_before_the_encoding(self, api):
        assert api.put(api.store("x"), b"x", Content_Encoding="gzip").status_code == 409

    def test_the_encoding_comes_last(self, api):
        assert api.put(api.store(), b"x", Content_Encoding="gzip").status_code == 400


class TestNoCookies:
    """Callers show a token with each request: no answer speaks of CSRF."""

    @pytest.mark.parametrize("path", ["/", "/v1", "/v1/"])
    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
    def test_other_methods_on_version_documents_are_405(self, api, method, path):
        response = Client(enforce_csrf_checks=True).generic(method, path, headers={"X-Auth-Token": api.key})

        assert response.status_code == 405
        assert response["Allow"] == "GET"

    def test_options_has_neither_body_nor_type(self, api):
        response = api.call("OPTIONS", "/v1/secrets")

        assert (response.status_code, response.content) == (200, b"")
        assert "Content-Type" not in response
