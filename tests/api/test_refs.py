"""Refs: absolute URLs by the base that this client sees, and never by one an attacker chose."""

import pytest

from keepsite.proxies import is_trusted_proxy
from secrets_app.models import Secret


def ref_for(api, **headers):
    return api.post("/v1/secrets", {}, **headers).json()["secret_ref"]


class TestBase:
    def test_scheme_and_host_of_the_request(self, api):
        assert ref_for(api, Host="localhost:9311").startswith("http://localhost:9311/v1/secrets/")

    def test_the_fixed_base_wins_over_the_request(self, api, settings):
        settings.HOST_HREF = "https://keys.example:9311/key-manager/"

        ref = ref_for(api, Host="localhost")

        assert ref.startswith("https://keys.example:9311/key-manager/v1/secrets/")

    def test_location_is_the_ref(self, api):
        response = api.post("/v1/secrets", {})

        assert response["Location"] == response.json()["secret_ref"]
        assert not response["Location"].endswith("/")

    def test_links_of_lists_and_documents_use_it_too(self, api, settings):
        settings.HOST_HREF = "https://keys.example"
        api.store()
        api.store()

        assert api.get("/v1/secrets?limit=1").json()["next"].startswith("https://keys.example/v1/secrets?")
        assert api.get("/v1").json()["version"]["links"][0]["href"] == "https://keys.example/v1/"


class TestForwardedProto:
    def test_a_stranger_is_not_believed(self, api):
        assert ref_for(api, X_Forwarded_Proto="https").startswith("http://")

    @pytest.mark.parametrize("trusted", ["127.0.0.1", "127.0.0.0/8"])
    def test_a_trusted_proxy_is(self, api, settings, trusted):
        settings.TRUSTED_PROXIES = [trusted]

        assert ref_for(api, X_Forwarded_Proto="https").startswith("https://testserver/")

    @pytest.mark.parametrize("scheme", ["javascript", "https, http", "", "HTTPS://evil.example/"])
    def test_no_other_scheme_gets_in(self, api, settings, scheme):
        settings.TRUSTED_PROXIES = ["127.0.0.1"]

        assert ref_for(api, X_Forwarded_Proto=scheme).startswith("http://testserver/")

    @pytest.mark.parametrize(
        "header", ["X_Forwarded_Host", "X_Forwarded_Port", "X_Forwarded_Prefix", "Forwarded"]
    )
    def test_other_forwarding_headers_change_nothing(self, api, settings, header):
        settings.TRUSTED_PROXIES = ["127.0.0.1"]

        assert ref_for(api, **{header: "evil.example"}).startswith("http://testserver/v1/")

    @pytest.fixture(autouse=True)
    def _forget_trust(self):
        is_trusted_proxy.cache_clear()
        yield
        is_trusted_proxy.cache_clear()


class TestHost:
    @pytest.mark.parametrize("host", ["evil.example", "127.0.0.1@evil.example", "a b", "[::1", "127.0.0.1:x"])
    @pytest.mark.parametrize("path", ["/", "/v1/secrets", "/v1/nowhere"])
    def test_a_host_that_is_not_ours_is_400_in_json(self, api, path, host):
        response = api.get(path, Host=host)

        assert response.status_code == 400
        assert response.json()["code"] == 400
        assert "Host" in response.json()["description"]

    def test_nothing_is_stored_under_it(self, api):
        assert api.post("/v1/secrets", {}, Host="evil.example").status_code == 400
        assert not Secret.objects.exists()
