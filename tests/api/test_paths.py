"""Paths and methods: every spelling of a path works without a redirect, what does not exist is JSON."""

from urllib.parse import quote

import pytest

from tests.support.callers import Caller, path_of

SPELLINGS = ["{}", "{}/", "{}//"]
COLLECTIONS = {
    "/v1/secrets": {},
    "/v1/orders": {"type": "key", "meta": {"algorithm": "aes", "bit_length": 128}},
}


def spelled(path, spelling):
    """The path with slashes added; inside of it too."""
    return spelling.format(path).replace("/v1/", "/v1//" if "//" in spelling else "/v1/")


@pytest.fixture
def paths(api):
    """One secret and one order, by path."""
    order = api.post("/v1/orders", COLLECTIONS["/v1/orders"]).json()["order_ref"]
    return {"secret": api.store("x"), "empty": api.store(), "order": path_of(order)}


@pytest.mark.parametrize("spelling", SPELLINGS)
class TestSlashes:
    @pytest.mark.parametrize("path", COLLECTIONS)
    def test_post_keeps_its_body(self, api, path, spelling):
        response = api.post(spelled(path, spelling), COLLECTIONS[path])

        assert response.status_code in {201, 202}
        assert not response["Location"].endswith("/")
        assert "//v1" not in response["Location"].removeprefix("http://")

    @pytest.mark.parametrize("path", [*COLLECTIONS, "/v1"])
    def test_get_of_collections(self, api, path, spelling):
        assert api.get(spelled(path, spelling)).status_code == 200

    def test_get_of_objects(self, api, paths, spelling):
        assert api.get(spelled(paths["secret"], spelling)).status_code == 200
        assert api.get(spelled(f"{paths['secret']}/payload", spelling)).content == b"x"
        assert api.get(spelled(f"{paths['secret']}/consumers", spelling)).status_code == 200
        assert api.get(spelled(paths["order"], spelling)).status_code == 200

    def test_put_keeps_its_body(self, api, paths, spelling):
        assert api.put(spelled(paths["empty"], spelling), b"bytes").status_code == 204
        assert api.get(f"{paths['empty']}/payload").content == b"bytes"

    def test_delete_keeps_its_body(self, api, paths, spelling):
        usage = {"service": "s", "resource_type": "t", "resource_id": "i"}
        where = spelled(f"{paths['secret']}/consumers", spelling)

        assert api.post(where, usage).status_code == 200
        assert api.delete(where, usage).status_code == 200

    def test_delete_of_objects(self, api, paths, spelling):
        assert api.delete(spelled(paths["secret"], spelling)).status_code == 204
        assert api.delete(spelled(paths["order"], spelling)).status_code == 204


class TestRefsAsIds:
    """openstacksdk asks for ``/v1/secrets/{ref}`` where it is handed an object that it listed or made."""

    @pytest.mark.parametrize(
        "base",
        [
            "http://testserver",
            "https://elsewhere.example:9311/prefix",
            "http:/testserver",
            "http%3A%2F%2Ftestserver",
        ],
    )
    def test_the_id_in_the_ref_counts(self, api, paths, base):
        for name in ("secret", "order"):
            plural = paths[name].split("/")[2]
            response = api.get(f"/v1/{plural}/{base}{paths[name]}")

            assert response.status_code == 200
            assert response.json()[f"{name}_ref"] == f"http://testserver{paths[name]}"

    def test_all_of_it_may_be_escaped(self, api, paths):
        assert (
            api.get("/v1/secrets/" + quote(f"http://testserver{paths['secret']}", safe="")).status_code == 200
        )

    def test_what_is_below_counts_too(self, api, paths):
        below = f"/v1/secrets/http://testserver{paths['secret']}"

        assert api.get(f"{below}/payload").content == b"x"
        assert api.get(f"{below}/acl/").json() == {"read": {"project-access": True}}
        assert api.call("PUT", f"{below}/metadata", {"metadata": {"a": "b"}}).status_code == 201
        assert api.get(f"{below}/metadata/a").json() == {"key": "a", "value": "b"}
        assert api.get(f"{below}/unknown").status_code == 404

    def test_delete(self, api, paths):
        assert api.delete(f"/v1/secrets/http://testserver{paths['secret']}").status_code == 204
        assert api.get(paths["secret"]).status_code == 404

    def test_secret_stores(self, api):
        (store,) = api.get("/v1/secret-stores").json()["secret_stores"]

        assert api.get(f"/v1/secret-stores/{store['secret_store_ref']}").json() == store

    def test_another_projects_stays_forbidden(self, api, paths):
        stranger = api.other(project="p2")

        assert stranger.get(f"/v1/secrets/http://testserver{paths['secret']}").status_code == 403

    def test_the_record_names_what_was_served(self, api, paths, audited):
        api.get(f"/v1/secrets/http://testserver{paths['secret']}/payload")

        assert len(audited(f"GET {paths['secret']}/payload")) == 1

    @pytest.mark.parametrize(
        "path",
        [
            "/v1/orders/http://testserver{secret}",  # another kind of object
            "/v1/secrets/5d4f0c5e-2f4b-4b1e-9a51-0a8f3c1d2e3f{secret}",  # an id that no access rule looked at
            "/v1/secrets/ftp://testserver{secret}",
            "/v1/secrets/http://testserver{secret}0",
            "/v1/secrets/http://testserver/v1/secrets",
            "/v1/quotas/http://testserver{secret}",
        ],
    )
    def test_nothing_else_is_read_as_one(self, api, paths, path):
        assert api.get(path.format(**paths)).status_code == 404


class TestUnknownPaths:
    @pytest.mark.parametrize(
        "path",
        ["/v1/foo", "/v1/cas", "/v1/cas/x", "/v1/secret", "/v2", "/v2/secrets", "/v1x", "/favicon.ico"],
    )
    def test_404_in_json(self, api, path):
        response = api.get(path)

        assert response.status_code == 404
        assert response.json() == {"code": 404, "title": "Not Found", "description": ""}

    @pytest.mark.parametrize(
        "rest", ["unknown", "payload/x", "payload/x/y", "consumers/x/y", "Payload", "payload.json"]
    )
    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
    def test_unknown_sub_resources_are_404_for_every_method(self, api, method, rest):
        path = api.store("x")

        assert api.call(method, f"{path}/{rest}").status_code == 404

    def test_below_an_order_there_is_nothing(self, api, paths):
        assert api.get(f"{paths['order']}/x").status_code == 404

    @pytest.mark.parametrize(
        "wrong",
        [str.upper, lambda path: path.replace("-", ""), lambda path: path + "0", lambda path: path[:-1]],
    )
    def test_a_secret_id_has_one_spelling(self, api, wrong):
        prefix, _, secret_id = api.store().rpartition("/")

        assert api.get(f"{prefix}/{wrong(secret_id)}").status_code == 404

    def test_ids_of_other_uuid_versions_are_404(self, api):
        assert api.get("/v1/secrets/6ba7b810-9dad-11d1-80b4-00c04fd430c8").status_code == 404


ALLOWED = {
    "/v1/secrets": "GET, POST",
    "{secret}": "DELETE, GET, PUT",
    "{secret}/payload": "GET",
    "{secret}/consumers": "DELETE, GET, POST",
    "/v1/orders": "GET, POST",
    "{order}": "DELETE, GET",
}


@pytest.mark.parametrize(("path", "allowed"), ALLOWED.items(), ids=ALLOWED.keys())
class TestMethods:
    def test_what_a_route_does_not_do_is_405_and_says_what_it_does(self, api, paths, path, allowed):
        everything = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "TRACE", "LINK"}

        for method in everything - {*allowed.split(", ")}:
            response = api.call(method, path.format(**paths))

            assert response.status_code == 405, method
            assert response["Allow"] == allowed

    def test_head_is_405_although_get_is_there(self, api, paths, path, allowed):
        response = api.call("HEAD", path.format(**paths))

        assert response.status_code == 405
        assert response.content == b""


class TestOptions:
    @pytest.mark.parametrize("path", ["/", "/v1", "/v1/secrets", "/v1/nowhere", "/v1/secrets/x/payload"])
    def test_options_is_200_and_empty_for_anybody(self, db, path):
        response = Caller(None, "9.9").call("OPTIONS", path)

        assert response.status_code == 200
        assert response.content == b""
        assert "Allow" not in response
        assert "OpenStack-API-Version" not in response

    def test_options_is_200_beside_the_api_too(self, db):
        assert Caller(None).call("OPTIONS", "/nowhere").status_code == 200
