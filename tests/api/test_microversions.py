"""The version header, and the version documents that depend on it."""

import pytest

from keepsite.api.microversions import MAXIMUM, MINIMUM, Microversion, UnsupportedVersion, negotiate
from keepsite.errors import InvalidInput
from tests.support.callers import Caller

HEADER = "OpenStack-API-Version"


class TestNegotiate:
    @pytest.mark.parametrize(
        ("header", "version"),
        [
            (None, "1.0"),
            ("", "1.0"),
            ("key-manager 1.0", "1.0"),
            ("key-manager 1.1", "1.1"),
            ("key-manager 1.2", "1.2"),
            ("key-manager 1.01", "1.1"),
            ("key-manager latest", "1.2"),
            ("KEY-MANAGER 1.1", "1.1"),
            ("key-manager   1.1  ", "1.1"),
            ("key-manager", "1.0"),
            ("key-manager ", "1.0"),
            ("1.1", "1.0"),
            ("compute 2.1", "1.0"),
            ("compute 2.1, key-manager 1.1", "1.1"),
            ("key-manager 1.1, compute 2.79", "1.1"),
            ("key-manager 1.2, key-manager 1.1", "1.1"),
            ("key-manager 9.9,key-manager 1.1", "1.1"),
            ("compute abc,key-manager 1.2", "1.2"),
        ],
    )
    def test_the_last_entry_for_us_decides(self, header, version):
        assert str(negotiate(header)) == version

    @pytest.mark.parametrize(
        "wanted",
        ["abc", "1", "1.", ".1", "1.1.1", "-1.0", "1.x", "LATEST", "Latest", "1.1 1.2", "\u0661.\u0661"],
    )
    def test_what_is_not_two_numbers_is_malformed(self, wanted):
        with pytest.raises(InvalidInput):
            negotiate(f"key-manager {wanted}")

    @pytest.mark.parametrize("wanted", ["9.9", "1.3", "2.0", "0.9", "1.10", "0.0"])
    def test_a_version_we_do_not_speak_names_those_we_do(self, wanted):
        with pytest.raises(UnsupportedVersion, match=f"{MINIMUM}.*{MAXIMUM}"):
            negotiate(f"key-manager {wanted}")

    def test_versions_compare_as_numbers(self):
        assert Microversion(1, 10) > Microversion(1, 9)


class TestHeader:
    @pytest.mark.parametrize(
        ("header", "version"),
        [
            ("compute 2.1, key-manager 1.1", "1.1"),
            ("key-manager latest", "1.2"),
            ("key-manager 1.01", "1.1"),
            ("", "1.0"),
        ],
    )
    def test_the_negotiated_version_is_echoed(self, api, header, version):
        response = api.at(None).get("/v1/secrets", OpenStack_API_Version=header)

        assert response[HEADER] == f"key-manager {version}"
        assert HEADER.lower() in response["Vary"].lower()

    def test_a_header_sent_twice_arrives_as_one_list(self, api):
        response = api.at(None).get("/v1/secrets", OpenStack_API_Version="key-manager 1.1,key-manager 1.2")

        assert response[HEADER] == "key-manager 1.2"

    @pytest.mark.parametrize(("version", "status"), [("9.9", 406), ("1.3", 406), ("abc", 400), ("1", 400)])
    @pytest.mark.parametrize("path", ["/", "/v1", "/v1/secrets", "/v1/unknown"])
    def test_a_bad_version_is_refused_on_every_path(self, api, path, version, status):
        response = api.at(version).get(path)

        assert response.status_code == status
        assert response.json()["code"] == status

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/v1/secrets", 200),
            ("GET", "/v1/unknown", 404),
            ("PATCH", "/v1/secrets", 405),
            ("POST", "/v1/secrets", 400),
        ],
    )
    def test_success_and_errors_carry_it_alike(self, api, method, path, status):
        response = api.call(method, path)

        assert response.status_code == status
        assert response[HEADER] == "key-manager 1.2"
        assert HEADER.lower() in response["Vary"].lower()


class TestRequestId:
    @pytest.mark.parametrize(
        ("method", "path", "headers"),
        [
            ("GET", "/", {}),
            ("GET", "/v1/secrets", {}),
            ("GET", "/v1/secrets", {"X_Auth_Token": ""}),
            ("GET", "/v1/secrets", {"OpenStack_API_Version": "key-manager 9.9"}),
            ("GET", "/v1/secrets", {"Host": "evil.example"}),
            ("GET", "/nowhere", {}),
            ("OPTIONS", "/v1/secrets", {}),
            ("GET", "/healthcheck", {}),
            ("PATCH", "/v1/secrets", {}),
        ],
    )
    def test_every_answer_has_one(self, api, method, path, headers):
        assert api.call(method, path, **headers)["x-openstack-request-id"].startswith("req-")

    def test_it_is_ours_and_fresh(self, api):
        sent = "req-00000000-0000-4000-8000-000000000000"
        first, second = (api.get("/v1/secrets", X_Openstack_Request_Id=sent) for _ in range(2))

        ids = {first["x-openstack-request-id"], second["x-openstack-request-id"], sent}
        assert len(ids) == 3


class TestRootDocument:
    def test_the_first_layout_without_a_version(self, db):
        response = Caller(None, None).get("/")

        assert response.status_code == 300
        assert response["Content-Type"] == "application/json"
        values = response.json()["versions"]["values"]
        assert values == [
            {
                "id": "v1",
                "status": "stable",
                "links": [
                    {"rel": "self", "href": "http://testserver/v1/"},
                    {"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/"},
                ],
                "media-types": [
                    {"base": "application/json", "type": "application/vnd.openstack.key-manager-v1+json"}
                ],
            }
        ]

    @pytest.mark.parametrize("version", ["1.1", "1.2", "latest"])
    def test_the_min_max_layout_from_1_1_on(self, db, version):
        response = Caller(None, version).get("/")

        assert response.status_code == 300
        (element,) = response.json()["versions"]
        assert (element["id"], element["status"]) == ("v1", "CURRENT")
        assert (element["min_version"], element["max_version"]) == ("1.0", "1.2")
        assert element["links"][0] == {"rel": "self", "href": "http://testserver/v1/"}

    def test_no_statement_is_spent_on_it(self, db, django_assert_num_queries):
        with django_assert_num_queries(0):
            Caller(None, "1.1").get("/")

    @pytest.mark.parametrize("accept", ["application/json", "*/*", "", "application/json-home"])
    def test_json_satisfies_these(self, db, accept):
        assert Caller(None).get("/", Accept=accept).status_code == 300

    def test_other_types_are_406(self, db):
        assert Caller(None).get("/", Accept="text/html").status_code == 406

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "PATCH"])
    def test_other_methods_are_405(self, db, method):
        response = Caller(None).call(method, "/")

        assert response.status_code == 405
        assert response["Allow"] == "GET"


class TestVersionDocument:
    @pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1//"])
    def test_one_element_in_the_layout_of_the_version(self, api, path):
        first, second = api.at(None).get(path), api.at("1.1").get(path)

        assert first.status_code == second.status_code == 200
        assert first.json()["version"]["status"] == "stable"
        assert second.json()["version"]["status"] == "CURRENT"

    def test_it_asks_for_an_identity(self, db):
        assert Caller(None).get("/v1").status_code == 401

    def test_other_methods_are_405(self, api):
        assert api.post("/v1", {}).status_code == 405


class TestWhatVersionsChange:
    def test_consumers_are_shown_from_1_1_on(self, api):
        path = api.store()

        assert "consumers" not in api.at("1.0").get(path).json()
        assert "consumers" not in api.at("1.0").get("/v1/secrets").json()["secrets"][0]
        assert api.at("1.1").get(path).json()["consumers"] == []
        assert api.at("1.1").get("/v1/secrets").json()["secrets"][0]["consumers"] == []
