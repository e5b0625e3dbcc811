"""The compatibility checklist, row by row: what every client of Barbican may rely on.

Rows of one request each stand in tables; the others are tests of their own, named by their row.
Source: spec/barbican-api.md §25.
"""

import base64
import re
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from orders_app.tasks import fulfil
from secrets_app.models import Secret
from tests.support.callers import Caller, path_of

UNKNOWN = "/v1/secrets/5d4f0c5e-2f4b-4b1e-9a51-0a8f3c1d2e3f"
BYTES = base64.b64encode(b"\x00\xff").decode()
TEXT = {"payload": "hi", "payload_content_type": "text/plain"}
OCTETS = {"payload": BYTES, "payload_content_type": "application/octet-stream"}
AES = {"type": "key", "meta": {"algorithm": "aes", "bit_length": 256}}
NOVA = {"service": "nova", "resource_type": "instance", "resource_id": "i-1"}
USE = {"name": "lb", "URL": "https://lb.example/1"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?")
ROWS = 100


@pytest.fixture
def secret(api):
    """The path of a secret with a payload."""
    return api.store("hi")


@pytest.fixture
def admin(api):
    """A service admin, of a project of their own."""
    return api.other(project="service", user="root", roles=["admin"])


def ref_of(path):
    return f"http://testserver{path}"


def contain(api, kind="generic", **places):
    """Make a container of the secrets at these paths; return its path."""
    refs = [{"name": name, "secret_ref": ref_of(path)} for name, path in places.items()]
    response = api.post("/v1/containers", {"type": kind, "name": "c", "secret_refs": refs})
    assert response.status_code == 201, response.content
    return path_of(response.json()["container_ref"])


def order(api, body):
    """Place an order, fulfil it, return its path."""
    response = api.post("/v1/orders", body)
    assert response.status_code == 202, response.content
    path = path_of(response.json()["order_ref"])
    fulfil(path.rpartition("/")[2])
    return path


def statuses(*responses):
    return [response.status_code for response in responses]


def names(response):
    return [secret["name"] for secret in response.json()["secrets"]]


def case(row, request, status, note="", **options):
    """A row of one request: ``"METHOD /path"``; ``options`` are the body and headers."""
    method, path = request.split(" ", 1)
    label = re.sub(r"\W+", "-", note or f"{method} {path}").strip("-")
    return pytest.param(method, path, options, status, id=f"{row:03}-{label}")


def new_secret(row, body, status, note):
    return case(row, "POST /v1/secrets", status, note, body=body)


def new_order(row, body, status, note):
    return case(row, "POST /v1/orders", status, note, body=body)


def new_payload(row, body, status, note, **options):
    return case(row, "PUT {empty}", status, note, body=body, **options)


SINGLE = [
    case(3, "GET /v1/", 200),
    case(4, "GET {secret}", 406, "version 9.9", OpenStack_API_Version="key-manager 9.9"),
    case(5, "GET {secret}", 400, "version abc", OpenStack_API_Version="key-manager abc"),
    case(7, "POST /v1/secrets/", 201, body={}),
    case(8, "POST /v1/secrets", 201, body={}),
    case(11, "GET {secret}", 200, "any type", Accept="*/*"),
    case(13, "GET {secret}", 406, "as XML", Accept="application/xml"),
    new_secret(15, TEXT | {"payload_content_encoding": "base64"}, 400, "text with an encoding"),
    new_secret(16, OCTETS, 400, "octets without an encoding"),
    new_secret(18, {"payload": "hi"}, 400, "payload without a type"),
    new_secret(18, {"payload_content_type": "text/plain"}, 400, "type without a payload"),
    new_secret(19, TEXT | {"payload": ""}, 400, "no characters"),
    new_secret(19, TEXT | {"payload": "  \n"}, 400, "blanks"),
    new_secret(20, TEXT | {"payload": "x" * 20_000}, 201, "20 000 characters"),
    new_secret(20, TEXT | {"payload": "x" * 20_001}, 413, "20 001 characters"),
    new_secret(21, {"expiration": "2020-01-01T00:00:00"}, 400, "expiration in the past"),
    new_secret(21, {"expiration": "soon"}, 400, "malformed expiration"),
    new_secret(22, {"secret_type": "Symmetric"}, 400, "type with a capital"),
    new_secret(22, {"secret_type": None}, 400, "type null"),
    new_secret(23, {"bit_length": 0}, 400, "0 bits"),
    new_secret(23, {"bit_length": 32768}, 400, "32768 bits"),
    new_secret(23, {"bit_length": "256"}, 400, "bits in a string"),
    new_secret(23, {"bit_length": 12.0}, 201, "12.0 bits"),
    new_secret(24, {"name": None}, 201, "name null"),
    new_secret(24, {"name": "n" * 256}, 400, "name of 256 characters"),
    new_secret(25, {"foo": "bar"}, 201, "unknown field"),
    new_secret(26, [], 400, "body is a list"),
    new_secret(26, b"not JSON", 400, "body is no JSON"),
    new_secret(26, b"", 400, "no body"),
    case(27, "POST /v1/secrets", 415, "as text", body=b"{}", content_type="text/plain"),
    new_payload(29, b"{}", 415, "JSON", content_type="application/json"),
    new_payload(30, b"", 400, "no body", content_type="application/octet-stream"),
    new_payload(32, b"x", 400, "gzip", content_type="application/octet-stream", Content_Encoding="gzip"),
    case(33, "GET {empty}/payload", 404),
    case(36, "POST {secret}/payload", 405, body={}),
    case(38, "GET /v1/secrets/not-a-uuid", 404),
    case(38, f"GET {UNKNOWN.upper().replace('/V1/SECRETS', '/v1/secrets')}", 404, "upper case"),
    case(39, f"GET {UNKNOWN}", 404, "unknown"),
    case(45, "GET /v1/secrets?created=xx", 400),
    case(45, "GET /v1/secrets?sort=foo", 400),
    case(45, "GET /v1/secrets?sort=name:up", 400),
    case(54, "PUT {secret}/acl", 400, "write", body={"write": {"users": []}}),
    case(54, "PUT {secret}/acl", 400, "unknown key", body={"read": {"foo": True}}),
    case(54, "PUT {secret}/acl", 400, "users in a string", body={"read": {"users": "u9"}}),
    case(59, "POST {secret}/metadata", 400, "extra key", body={"key": "a", "value": "b", "foo": "c"}),
    case(59, "POST {secret}/metadata", 400, "key with a blank", body={"key": "a b", "value": "c"}),
    case(63, "POST {secret}/consumers", 400, "field missing", body={"service": "nova"}),
    case(65, "POST /v1/containers", 201, body={"type": "generic", "name": "c"}),
    case(69, "POST /v1/containers", 400, body={"type": "dsa", "name": "c"}),
    new_order(78, {"type": "key", "meta": AES["meta"] | {"bit_length": 12}}, 400, "12 bits"),
    new_order(78, {"type": "key", "meta": {"bit_length": 256}}, 400, "no algorithm"),
    new_order(78, {"type": "key", "meta": AES["meta"] | {"payload": "x"}}, 400, "payload"),
    new_order(78, {"type": "certificate", "meta": AES["meta"]}, 400, "certificate"),
    case(83, "PUT /v1/orders", 405, body=AES),
    case(88, "GET /v1/project-quotas", 403),
    case(88, "PUT /v1/project-quotas/p1", 403, body={"project_quotas": {"secrets": 1}}),
    case(92, "GET /v1/cas", 404),
    case(92, "GET /v1/foo", 404),
    case(93, "HEAD /v1/secrets", 405),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "options", "status"), SINGLE)
def test_row(api, secret, method, path, options, status):
    response = api.call(method, path.format(secret=secret, empty=api.store()), **options)

    assert response.status_code == status, response.content


class TestVersions:
    def test_row_001_discovery_without_a_token(self, db):
        response = Caller(None, None).get("/")

        assert response.status_code == 300
        assert response.json()["versions"]["values"][0]["id"] == "v1"

    def test_row_002_discovery_with_a_microversion(self, db):
        response = Caller(None, "1.1").get("/")

        assert response.status_code == 300
        (version,) = response.json()["versions"]
        assert version["max_version"]
        assert (version["min_version"], version["status"]) == ("1.0", "CURRENT")

    def test_row_003_the_version_with_a_token(self, api):
        assert [*api.get("/v1/").json()] == ["version"]

    def test_row_006_among_other_services(self, api):
        response = api.get("/v1/secrets", OpenStack_API_Version="compute 2.1, key-manager 1.1")

        assert response.status_code == 200
        assert response["OpenStack-API-Version"] == "key-manager 1.1"
        assert "OpenStack-API-Version" in response["Vary"]


class TestSecrets:
    @pytest.mark.parametrize("path", ["/v1/secrets/", "/v1/secrets"])
    def test_row_007_location_is_the_ref(self, api, path):
        response = api.post(path, {})

        assert response["Location"] == response.json()["secret_ref"]
        assert not response["Location"].endswith("/")

    def test_row_009_at_1_0(self, api):
        shown = api.at("1.0").get(api.store()).json()

        assert not {"consumers", "content_types"} & shown.keys()

    def test_row_010_at_1_1(self, api):
        assert api.at("1.1").get(api.store()).json()["consumers"] == []

    def test_row_011_any_type_is_json(self, api, secret):
        response = api.get(secret, Accept="*/*")

        assert response["Content-Type"] == "application/json"
        assert response.json()["secret_ref"] == ref_of(secret)

    def test_row_012_as_text(self, api, secret):
        response = api.get(secret, Accept="text/plain")

        assert response.status_code == 200
        assert (response.content, response["Content-Type"].partition(";")[0]) == (b"hi", "text/plain")

    def test_row_014_default_type_of_text(self, api, secret):
        assert api.get(secret).json()["content_types"] == {"default": "text/plain"}

    def test_row_017_octets_in_base64(self, api):
        response = api.post("/v1/secrets", OCTETS | {"payload_content_encoding": "base64"})

        path = path_of(response.json()["secret_ref"])
        assert api.get(f"{path}/payload").content == b"\x00\xff"

    def test_row_028_second_payload(self, api):
        path = api.store()

        assert statuses(api.put(path, b"one"), api.put(path, b"two")) == [204, 409]
        assert api.get(f"{path}/payload").content == b"one"

    def test_row_031_octets_in_base64_by_put(self, api):
        path = api.store()

        assert api.put(path, BYTES.encode(), Content_Encoding="base64").status_code == 204
        assert api.get(f"{path}/payload").content == b"\x00\xff"

    def test_row_034_payload_without_an_accept_header(self, api):
        response = api.get(api.store(b"\x00\xff") + "/payload")

        assert response.status_code == 200
        assert (response.content, response["Content-Type"]) == (b"\x00\xff", "application/octet-stream")

    def test_row_035_bytes_as_text(self, api):
        assert api.get(api.store(b"\x00\xff") + "/payload", Accept="text/plain").status_code == 406

    def test_row_037_delete_twice(self, api, secret):
        assert statuses(api.delete(secret), api.delete(secret)) == [204, 404]

    def test_row_039_another_projects(self, api, secret):
        assert api.other(project="p2").get(secret).status_code == 403

    def test_row_040_expired(self, api, secret):
        Secret.objects.update(expires_at=datetime(2020, 1, 1, tzinfo=UTC))

        assert api.get(secret).status_code == 404
        assert api.get("/v1/secrets").json() == {"secrets": [], "total": 0}


class TestLists:
    @pytest.mark.parametrize(
        ("query", "count"), [("limit=0", 1), ("limit=1000", 100), ("limit=x", 10), ("offset=-1", 10)]
    )
    def test_row_041_bad_values(self, api, query, count):
        for _ in range(101):
            api.store()

        response = api.get(f"/v1/secrets?{query}")

        assert response.status_code == 200
        assert len(response.json()["secrets"]) == count

    def test_row_042_next_is_followed_to_the_end(self, api):
        for number in range(7):
            api.store(name=f"s{number}")
            api.store(name="other")
        seen, path = [], "/v1/secrets?limit=3&name=s%25"
        while path:
            page = api.get(path).json()
            seen += [secret["name"] for secret in page["secrets"]]
            path = path_of(page["next"]) if "next" in page else None
            assert not path or parse_qs(urlsplit(path).query)["name"] == ["s%"]

        assert seen == [f"s{number}" for number in range(7)]

    def test_row_043_beyond_the_end(self, api, secret):
        assert api.get("/v1/secrets?offset=5").json() == {"secrets": [], "total": 1}

    def test_row_044_dates(self, api, secret):
        assert api.get("/v1/secrets?created=gt:2020-01-01,lt:2090-01-01").json()["total"] == 1
        assert api.get("/v1/secrets?created=gt:2090-01-01").json()["total"] == 0

    def test_row_046_sort(self, api):
        for name in "abc":
            api.store(name=name)

        assert names(api.get("/v1/secrets?sort=created:desc,name")) == ["c", "b", "a"]

    def test_row_047_acl_only(self, api, secret):
        named = api.store(name="named")
        api.call("PUT", f"{named}/acl", {"read": {"users": ["u2"]}})

        assert names(api.other().get("/v1/secrets?acl_only=true")) == ["named"]


class TestACL:
    @pytest.fixture
    def acl(self, api, secret):
        """Replaces the secret's ACL."""

        def put(**read):
            response = api.call("PUT", f"{secret}/acl", {"read": read})
            assert response.status_code == 200, response.content

        return put

    @pytest.fixture
    def stranger(self, api):
        """A user of another project without any role that counts."""
        return api.other(project="p2", user="u9", roles=["none"])

    def test_row_048_without_an_entry(self, api, secret):
        assert api.get(f"{secret}/acl").json() == {"read": {"project-access": True}}

    def test_row_049_a_named_stranger_reads(self, secret, acl, stranger):
        acl(users=["u9"])

        assert stranger.get(secret).status_code == 200
        assert stranger.get(f"{secret}/payload").content == b"hi"

    def test_row_050_and_does_nothing_else(self, secret, acl, stranger):
        acl(users=["u9"])

        assert stranger.delete(secret).status_code == 403
        assert stranger.call("PUT", f"{secret}/acl", {"read": {"users": []}}).status_code == 403
        assert stranger.get(f"{secret}/acl").status_code == 403

    def test_row_051_without_project_access(self, api, secret, acl):
        acl(**{"project-access": False})

        assert api.other(user="u2").get(secret).status_code == 403
        assert api.get(secret).status_code == 200
        assert api.other(user="u3", roles=["admin"]).get(secret).status_code == 200

    def test_row_052_patch_keeps_users(self, api, secret, acl):
        acl(users=["u9"])
        api.call("PATCH", f"{secret}/acl", {"read": {"project-access": True}})

        assert api.get(f"{secret}/acl").json()["read"]["users"] == ["u9"]

    def test_row_053_put_clears_users(self, api, secret, acl):
        acl(users=["u9"])
        acl(**{"project-access": True})

        assert api.get(f"{secret}/acl").json()["read"]["users"] == []

    def test_row_055_delete_twice(self, api, secret, acl):
        acl(users=["u9"])

        for _ in range(2):
            response = api.delete(f"{secret}/acl")
            assert (response.status_code, response.content) == (200, b"null")


class TestMetadata:
    def test_row_056_keys_are_lower_case(self, api, secret):
        response = api.call("PUT", f"{secret}/metadata", {"metadata": {"A": "b"}})

        assert response.status_code == 201
        assert api.get(f"{secret}/metadata").json() == {"metadata": {"a": "b"}}

    def test_row_057_an_item_twice(self, api, secret):
        item = {"key": "a", "value": "b"}
        first, second = (api.post(f"{secret}/metadata", item) for _ in range(2))

        assert statuses(first, second) == [201, 409]
        assert first["Location"].endswith(f"{secret}/metadata/a")

    def test_row_058_other_key_and_missing_item(self, api, secret):
        api.post(f"{secret}/metadata", {"key": "a", "value": "b"})

        other = api.call("PUT", f"{secret}/metadata/a", {"key": "x", "value": "y"})
        missing = api.call("PUT", f"{secret}/metadata/x", {"key": "x", "value": "y"})
        assert statuses(other, missing) == [409, 404]

    def test_row_060_none(self, api, secret):
        assert api.get(f"{secret}/metadata").json() == {"metadata": {}}


class TestSecretConsumers:
    def test_row_061_registered_twice(self, api, secret):
        for _ in range(2):
            response = api.post(f"{secret}/consumers", NOVA)

            assert response.status_code == 200
            assert response.json()["consumers"] == [NOVA]
            assert response.json()["secret_ref"] == ref_of(secret)
        assert api.get(f"{secret}/consumers").json()["total"] == 1

    def test_row_062_removed_twice(self, api, secret):
        api.post(f"{secret}/consumers", NOVA)

        first, second = (api.delete(f"{secret}/consumers", NOVA) for _ in range(2))
        assert statuses(first, second) == [200, 404]
        assert first.json()["secret_ref"] == ref_of(secret)

    @pytest.mark.parametrize(
        ("version", "query", "status"), [("1.1", "", 204), ("1.2", "", 400), ("1.2", "?force=1", 204)]
    )
    def test_row_064_deleting_what_is_consumed(self, api, secret, version, query, status):
        api.post(f"{secret}/consumers", NOVA)

        response = api.at(version).delete(secret + query)

        assert response.status_code == status
        if status == 400:
            assert "Secret cannot be deleted as it has consumers." in response.json()["description"]


class TestContainers:
    def test_row_066_parts_that_a_type_asks_for(self, api, secret):
        for kind, name in (("rsa", "public_key"), ("certificate", "unknown")):
            refs = [{"name": name, "secret_ref": ref_of(secret)}]
            response = api.post("/v1/containers", {"type": kind, "name": "c", "secret_refs": refs})
            assert response.status_code == 400, kind

    def test_row_067_duplicates(self, api, secret):
        other = api.store()
        same_secret = [{"name": name, "secret_ref": ref_of(secret)} for name in "ab"]
        same_name = [{"name": "a", "secret_ref": ref_of(path)} for path in (secret, other)]

        for refs in (same_secret, same_name):
            body = {"type": "generic", "name": "c", "secret_refs": refs}
            assert api.post("/v1/containers", body).status_code == 400

    def test_row_068_foreign_and_missing_secrets(self, api):
        foreign = api.other(project="p2").store("x")

        for path in (foreign, UNKNOWN):
            body = {
                "type": "generic",
                "name": "c",
                "secret_refs": [{"name": "a", "secret_ref": ref_of(path)}],
            }
            assert api.post("/v1/containers", body).status_code == 404

    def test_row_070_put(self, api):
        response = api.call("PUT", contain(api), {"type": "generic"})

        assert (response.status_code, response["Allow"]) == (405, "DELETE, GET")

    def test_row_071_adding_secrets(self, api, secret):
        place = {"name": "a", "secret_ref": ref_of(secret)}
        rsa = contain(api, "rsa", public_key=api.store(), private_key=api.store())

        assert api.post(contain(api) + "/secrets", place).status_code == 201
        assert api.post(f"{rsa}/secrets", place).status_code == 400

    def test_row_072_the_same_pair_twice(self, api, secret):
        path, place = contain(api) + "/secrets", {"name": "a", "secret_ref": ref_of(secret)}

        answers = [
            api.post(path, place),
            api.post(path, place),
            api.delete(path, place),
            api.post(path, place),
        ]
        assert statuses(*answers) == [201, 409, 204, 201]

    def test_row_073_removing_a_pair_twice(self, api, secret):
        path, place = contain(api, a=secret) + "/secrets", {"name": "a", "secret_ref": ref_of(secret)}

        assert statuses(api.delete(path, place), api.delete(path, place)) == [204, 404]

    def test_row_074_consumers(self, api):
        path = contain(api)

        for _ in range(2):
            response = api.post(f"{path}/consumers", USE)
            assert response.status_code == 200
            assert response.json()["container_ref"] == ref_of(path)
            assert len(response.json()["consumers"]) == 1

    def test_row_075_deleting_what_is_consumed(self, api, secret):
        path = contain(api, a=secret)
        api.post(f"{path}/consumers", USE)

        assert statuses(api.delete(path), api.get(path), api.get(secret)) == [204, 404, 200]

    def test_row_076_deleting_a_secret_inside(self, api, secret):
        path = contain(api, a=secret)
        api.delete(secret)

        assert api.get(path).json()["secret_refs"] == []


class TestOrders:
    def test_row_077_an_aes_key(self, api):
        shown = api.get(order(api, AES)).json()

        assert shown["status"] == "ACTIVE"
        payload = api.get(path_of(shown["secret_ref"]) + "/payload", Accept="application/octet-stream")
        assert (len(payload.content), payload["Content-Type"]) == (32, "application/octet-stream")

    def test_row_079_an_rsa_pair(self, api):
        shown = api.get(
            order(api, {"type": "asymmetric", "meta": {"algorithm": "rsa", "bit_length": 2048}})
        ).json()
        container = api.get(path_of(shown["container_ref"])).json()

        keys = {
            place["name"]: api.get(path_of(place["secret_ref"]) + "/payload").content
            for place in container["secret_refs"]
        }
        assert container["type"] == "rsa"
        assert load_pem_private_key(keys["private_key"], None).public_key() == load_pem_public_key(
            keys["public_key"]
        )

    def test_row_080_an_unknown_algorithm(self, api):
        response = api.post("/v1/orders", {"type": "key", "meta": {"algorithm": "bogus", "bit_length": 256}})

        assert response.status_code == 400
        assert "bogus" in response.json()["description"]

    def test_row_081_deleting_spares_the_secret(self, api):
        path = order(api, AES)
        made = path_of(api.get(path).json()["secret_ref"])

        assert statuses(api.delete(path), api.get(path), api.get(f"{made}/payload")) == [204, 404, 200]

    def test_row_082_another_projects(self, api):
        assert api.other(project="p2").get(order(api, AES)).status_code == 404


class TestQuotas:
    def test_row_084_unlimited(self, api):
        quotas = api.get("/v1/quotas").json()["quotas"]

        assert quotas == dict.fromkeys(["secrets", "orders", "containers", "consumers", "cas"], -1)

    def test_row_085_one_of_them(self, admin):
        assert (
            admin.call("PUT", "/v1/project-quotas/p1", {"project_quotas": {"secrets": 1}}).status_code == 204
        )

        shown = admin.get("/v1/project-quotas/p1").json()["project_quotas"]
        assert shown.pop("secrets") == 1
        assert {*shown.values()} == {None}

    def test_row_086_is_reached(self, api, admin):
        admin.call("PUT", "/v1/project-quotas/p1", {"project_quotas": {"secrets": 1}})

        assert statuses(api.post("/v1/secrets", {}), api.post("/v1/secrets", {})) == [201, 403]

    @pytest.mark.parametrize("limits", [{"secrets": None}, {"secrets": "1"}, {"foo": 1}])
    def test_row_087_bad_ones(self, admin, limits):
        response = admin.call("PUT", "/v1/project-quotas/p1", {"project_quotas": limits})

        assert response.status_code == 400

    def test_row_089_deleted_twice(self, admin):
        admin.call("PUT", "/v1/project-quotas/p1", {"project_quotas": {"secrets": 1}})

        path = "/v1/project-quotas/p1"
        assert statuses(admin.delete(path), admin.delete(path)) == [204, 404]


class TestRest:
    def test_row_090_secret_stores_are_a_list(self, api):
        response = api.get("/v1/secret-stores")

        assert response.status_code == 200
        assert len(response.json()["secret_stores"]) == 1

    def test_row_091_no_transport_keys(self, api):
        assert api.get("/v1/transport_keys").json() == {"transport_keys": [], "total": 0}

    @pytest.mark.parametrize("path", ["/v1/cas", "/v1/foo"])
    def test_row_092_is_json(self, api, path):
        assert api.get(path).json()["code"] == 404

    @pytest.mark.parametrize("path", ["/", "/v1/secrets", "/v1/foo"])
    def test_row_094_options(self, api, path):
        response = api.call("OPTIONS", path)

        assert (response.status_code, response.content) == (200, b"")

    def test_row_095_patch_of_the_collection(self, api):
        response = api.call("PATCH", "/v1/secrets", {})

        assert (response.status_code, response["Allow"]) == (405, "GET, POST")

    def test_row_096_a_list_as_html(self, api):
        response = api.get("/v1/secrets", Accept="text/html")

        assert response.status_code == 406
        assert response.json()["description"] is None

    def test_row_097_a_reader(self, api):
        reader = api.other(roles=["reader"])

        answers = [reader.get("/v1/secrets"), reader.post("/v1/secrets", {}), reader.get("/v1/quotas")]
        assert statuses(*answers) == [403, 403, 200]

    def test_row_098_admin_of_another_project(self, api, secret):
        other = api.other(project="p2", roles=["admin"])

        assert statuses(other.get(secret), other.get(f"{secret}/payload"), other.delete(secret)) == [
            200,
            403,
            204,
        ]

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/v1/secrets?sort=foo", 400),
            ("GET", "/v1/foo", 404),
            ("PATCH", "/v1/secrets", 405),
            ("PUT", "{secret}", 415),
            ("DELETE", UNKNOWN, 404),
        ],
    )
    def test_row_099_every_error_in_json(self, api, secret, method, path, status):
        response = api.call(method, path.format(secret=secret), {})

        body = response.json()
        assert (response.status_code, body["code"]) == (status, status)
        assert isinstance(body["title"], str)
        assert isinstance(body["description"], str)

    def test_row_100_every_timestamp(self, api, secret):
        later = api.store(expiration="2099-01-01T00:00:00+01:00")
        api.call("PUT", f"{secret}/acl", {"read": {"users": ["u9"]}})
        api.post(f"{secret}/consumers", NOVA)
        path = order(api, {"type": "key", "meta": AES["meta"] | {"expiration": "2099-01-01T00:00:00Z"}})

        shown = [api.get(where).json() for where in (secret, later, path, contain(api, a=secret))]
        shown += [shown[2]["meta"], api.get(f"{secret}/acl").json()["read"]]
        shown += api.get(f"{secret}/consumers").json()["consumers"]
        times = [each.get(name) for each in shown for name in ("created", "updated", "expiration")]
        times = [time for time in times if time is not None]
        assert len(times) >= 14
        assert [time for time in times if not TIME.fullmatch(time)] == []


def test_no_row_is_missing():
    in_tables = {int(each.id[:3]) for each in SINGLE}
    on_their_own = {int(row) for row in re.findall(r"def test_row_(\d{3})", Path(__file__).read_text())}

    assert in_tables | on_their_own == {*range(1, ROWS + 1)}
