"""The API's document is valid and complete: every route, and every status that a route answers with."""

import pytest
from django.test import Client
from django.urls import URLPattern, get_resolver
from openapi_spec_validator import OpenAPIV31SpecValidator

from keepsite.api import limits
from keepsite.api.openapi.document import document
from tests.support.callers import Caller
from tests.support.conformance import operation_of

UNKNOWN = "5d4f0c5e-2f4b-4b1e-9a51-0a8f3c1d2e3f"
OTHERS = ("admin", "docs", "metrics", "readiness")  # for people and monitors, and the document itself
BROKEN_VERSION = {"OpenStack-API-Version": "key-manager abc"}
ANY_LIMIT = "limits: [{id: none, uri-regex: '.*', http-methods: ALL, unit: HOUR, value: 0}]"


def paths(patterns, prefix="/"):
    """Every path of Django's table, with whatever its view is."""
    for pattern in patterns:
        path = f"{prefix}{pattern.pattern}"
        if isinstance(pattern, URLPattern):
            yield path, pattern.callback
        elif not path.startswith(tuple(f"/{name}" for name in OTHERS)):
            yield from paths(pattern.url_patterns, path)


def ours():
    """The paths that belong to the API."""
    return [
        (path, view)
        for path, view in paths(get_resolver().url_patterns)
        if not path.startswith(tuple(f"/{name}" for name in OTHERS))
    ]


def documented():
    """Method and path of every operation in the document."""
    return [(method.upper(), path) for path, methods in document()["paths"].items() for method in methods]


def operation_ids():
    return [method["operationId"] for path in document()["paths"].values() for method in path.values()]


def under_v1():
    return [(method, path) for method, path in documented() if path.startswith("/v1")]


def statuses(method, path):
    return {*operation_of(method, path)["responses"]}


class TestDocument:
    def test_is_a_valid_openapi_document(self):
        OpenAPIV31SpecValidator(document()).validate()

    def test_every_path_of_the_api_is_in_it(self):
        undescribed = [
            path for path, view in ours() if not (hasattr(view, "actions") or hasattr(view, "openapi"))
        ]

        assert undescribed == []
        assert len({path for path, _ in ours()}) == len(document()["paths"])

    def test_every_method_of_every_viewset_is_in_it(self):
        methods = [
            method for _, view in ours() for method in getattr(view, "actions", ()) if method != "head"
        ]

        assert len(methods) + 5 == len(documented())  # the version documents, and health by three methods

    def test_no_two_operations_have_the_same_id(self):
        assert len({*operation_ids()}) == len(operation_ids())

    def test_every_schema_is_used(self):
        text = str(document())

        assert [name for name in document()["components"]["schemas"] if f"/{name}'" not in text] == []


class TestServed:
    @pytest.mark.parametrize("path", ["/docs/", "/docs/openapi.json"])
    def test_to_anybody_without_a_statement(self, db, django_assert_num_queries, path):
        with django_assert_num_queries(0):
            assert Client().get(path).status_code == 200

    def test_the_document_names_the_service_it_was_asked_from(self):
        answer = Client().get("/docs/openapi.json", headers={"Host": "localhost:9311"})

        assert answer.json()["servers"] == [{"url": "http://localhost:9311"}]
        assert answer.json()["paths"] == document()["paths"]

    def test_the_page_has_every_operation_and_object(self):
        page = Client().get("/docs/").content.decode()

        objects = [name for name in document()["components"]["schemas"] if not name.endswith("Error")]
        wanted = operation_ids() + [f"object-{name}" for name in objects]
        assert [name for name in wanted if f'id="{name}"' not in page] == []


@pytest.fixture
def everything(api):
    """An object of every kind, by its name in paths; the caller is an admin of the same project."""
    admin = api.other(project="p1", user="u1", roles=["admin"])
    secret = admin.store()
    admin.post(f"{secret}/metadata", {"key": "a", "value": "b"})
    container = admin.post("/v1/containers", {"type": "generic"}).json()["container_ref"]
    meta = {"algorithm": "aes", "bit_length": 128}
    order = admin.post("/v1/orders", {"type": "key", "meta": meta}).json()["order_ref"]
    key = admin.post("/v1/transport_keys", {"plugin_name": "p", "transport_key": "k"}).json()
    store = admin.get("/v1/secret-stores").json()["secret_stores"][0]["secret_store_ref"]
    names = {
        "secret_id": secret,
        "container_id": container,
        "order_id": order,
        "key_id": key["transport_key_ref"],
        "store_id": store,
        "consumer_id": UNKNOWN,
        "project_id": "p1",
        "name": "a",
    }
    return admin, {name: value.rpartition("/")[2] for name, value in names.items()}


class TestEveryOperation:
    """Statuses that follow from the route really come; that they are as described, every call checks."""

    @pytest.mark.parametrize(("method", "path"), under_v1())
    def test_without_a_credential(self, db, method, path):
        assert Caller("").call(method, path.format_map(dict.fromkeys(NAMES, UNKNOWN))).status_code == 401

    @pytest.mark.parametrize(("method", "path"), under_v1())
    def test_of_what_is_not_there(self, api, method, path):
        missing = dict.fromkeys(NAMES, UNKNOWN) | {"project_id": "p" * 256}

        response = api.call(method, path.format_map(missing), {} if method != "GET" else None)

        if "{" in path:
            assert response.status_code == 404
            assert "404" in statuses(method, path)

    @pytest.mark.parametrize(("method", "path"), under_v1())
    def test_in_a_version_nobody_speaks(self, api, method, path):
        wrong, unknown = (api.at(version).call(method, path) for version in ("abc", "9.9"))

        assert (wrong.status_code, unknown.status_code) == (400, 406)

    @pytest.mark.parametrize(("method", "path"), under_v1())
    def test_by_a_caller_without_a_role(self, everything, method, path):
        admin, ids = everything
        stranger = admin.other(project="p1", user="u9", roles=["none"])

        response = stranger.call(method, path.format_map(ids))

        assert (response.status_code == 403) == ("403" in statuses(method, path))

    @pytest.mark.parametrize(("method", "path"), under_v1())
    def test_with_a_body_of_another_kind(self, everything, method, path):
        admin, ids = everything

        response = admin.call(method, path.format_map(ids), b"<a/>", "application/xml")

        assert (response.status_code == 415) == ("415" in statuses(method, path))

    @pytest.mark.parametrize(("method", "path"), under_v1())
    def test_with_a_body_too_long(self, everything, method, path):
        admin, ids = everything
        body = operation_of(method, path).get("requestBody", {"content": ["application/json"]})

        response = admin.call(method, path.format_map(ids), b"x" * 30_000, next(iter(body["content"])))

        assert (response.status_code == 413) == ("413" in statuses(method, path))

    @pytest.mark.parametrize(("method", "path"), under_v1())
    def test_beyond_a_rate_limit(self, api, settings, tmp_path, method, path):
        (tmp_path / "limits.yaml").write_text(ANY_LIMIT)
        settings.LIMITS_FILE = str(tmp_path / "limits.yaml")
        limits.reset()

        try:
            response = api.call(method, path)
        finally:
            settings.LIMITS_FILE = ""
            limits.reset()

        assert response.status_code == 429

    @pytest.mark.parametrize(("method", "path"), under_v1())
    def test_while_nothing_can_be_recorded(self, api, monkeypatch, method, path):
        monkeypatch.setattr("keepsite.audit.require_writable", _no_room)

        assert api.call(method, path).status_code == 503

    @pytest.mark.parametrize(("method", "path"), under_v1())
    def test_while_something_is_broken(self, api, monkeypatch, method, path):
        monkeypatch.setattr("keepsite.api.middleware.authenticate", lambda _: 1 / 0)

        assert api.call(method, path).status_code == 500


NAMES = ("secret_id", "container_id", "order_id", "key_id", "store_id", "consumer_id", "project_id", "name")


def _no_room():
    from keepsite.errors import Unavailable

    raise Unavailable("The audit record cannot be written.")


class TestOtherMethods:
    @pytest.mark.parametrize("path", [path for path in document()["paths"] if "{" not in path])
    @pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "QUERY"])
    def test_are_405_with_those_there_are(self, api, method, path):
        known = {name.upper() for name in document()["paths"][path]}

        response = api.call(method, path)

        if method not in known:
            assert response.status_code == 405
            assert {*response["Allow"].split(", ")} == known

    @pytest.mark.parametrize("path", ["/", "/v1", "/healthcheck"])
    def test_need_no_form_token(self, api, path):
        """Django's protection of forms would answer a POST by a page of its own."""
        response = Client(enforce_csrf_checks=True).post(path, headers={"X-Auth-Token": api.key})

        assert response.status_code == (200 if path == "/healthcheck" else 405)
