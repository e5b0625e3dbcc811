import pytest


@pytest.fixture
def admin(api):
    return api.other(user="boss", roles=["admin"])


@pytest.fixture
def path(api):
    (store,) = api.get("/v1/secret-stores").json()["secret_stores"]
    return store["secret_store_ref"].removeprefix("http://testserver")


class TestStores:
    def test_the_one_store_is_the_default(self, api, path):
        store = api.get(path).json()

        assert store["global_default"] is True
        assert {*store} == {
            *("created", "updated", "status", "name", "secret_store_plugin", "crypto_plugin"),
            *("global_default", "secret_store_ref"),
        }  # fmt: skip
        assert api.get("/v1/secret-stores/global-default").json() == store

    def test_unknown_one_is_404(self, api):
        assert api.get("/v1/secret-stores/nonsense").status_code == 404

    def test_preference_is_set_shown_and_taken_back_by_admins(self, api, admin, path):
        assert api.get("/v1/secret-stores/preferred").status_code == 404
        assert api.post(f"{path}/preferred").status_code == 403

        assert admin.post(f"{path}/preferred", content_type=None).status_code == 204
        assert api.get("/v1/secret-stores/preferred").json() == api.get(path).json()
        assert admin.delete(f"{path}/preferred").status_code == 204
        assert admin.delete(f"{path}/preferred").status_code == 404

    @pytest.mark.parametrize("method", ["GET", "PUT"])
    def test_preferred_of_a_store_takes_post_and_delete_only(self, api, path, method):
        assert api.call(method, f"{path}/preferred").status_code == 405


class TestTransportKeys:
    def test_none_is_an_empty_list(self, api):
        assert api.get("/v1/transport_keys").json() == {"transport_keys": [], "total": 0}

    def test_admin_registers_everybody_reads_admin_deletes(self, api, admin):
        body = {"plugin_name": "p", "transport_key": "-----BEGIN CERTIFICATE-----"}
        assert api.post("/v1/transport_keys", body).status_code == 403

        made = admin.post("/v1/transport_keys", body)

        assert made.status_code == 201
        path = made["Location"].removeprefix("http://testserver")
        assert api.get(path).json()["transport_key"] == body["transport_key"]
        assert api.get("/v1/transport_keys?plugin_name=p").json()["transport_keys"] == [made["Location"]]
        assert api.get("/v1/transport_keys?plugin_name=q").json()["total"] == 0
        assert admin.delete(path).status_code == 204
        assert api.get(path).status_code == 404
