"""Refs: absolute URLs by the base that this client sees, and never by one an attacker chose."""

import re

import pytest
import webob

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


class TestForwarded:
    """What a proxy says, through the whole application as it is served."""

    HEADERS = {  # noqa: RUF012  # a constant
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "keys.example:8443",
        "X-Forwarded-Prefix": "/key-manager",
    }

    @pytest.fixture(autouse=True)
    def _forget_trust(self, settings):
        settings.ALLOWED_HOSTS = ["testserver", "keys.example"]
        settings.PUBLIC_PREFIXES = ["/key-manager"]
        is_trusted_proxy.cache_clear()
        yield
        is_trusted_proxy.cache_clear()

    @pytest.fixture
    def store(self, api, one_connection):
        """Stores a secret through a proxy; the answer."""
        from keepsite import wsgi

        def store(**headers):
            request = webob.Request.blank(
                "/v1/secrets",
                environ={"REMOTE_ADDR": "127.0.0.1"},
                headers={
                    "Host": "testserver",
                    "X-Auth-Token": api.key,
                    "Content-Type": "application/json",
                    **headers,
                },
                POST=b"{}",
            )
            return request.get_response(wsgi.application)

        return store

    @pytest.mark.parametrize("trusted", [[], ["192.0.2.1"]])
    def test_a_stranger_is_not_believed(self, store, settings, trusted):
        settings.TRUSTED_PROXIES = trusted

        assert store(**self.HEADERS).json["secret_ref"].startswith("http://testserver/v1/secrets/")

    @pytest.mark.parametrize("trusted", ["127.0.0.1", "127.0.0.0/8"])
    def test_a_trusted_proxy_is_in_refs_locations_and_links(self, store, settings, trusted):
        settings.TRUSTED_PROXIES = [trusted]

        answer = store(**self.HEADERS)

        assert answer.json["secret_ref"].startswith("https://keys.example:8443/key-manager/v1/secrets/")
        assert answer.location == answer.json["secret_ref"]

    @pytest.mark.parametrize(("trusted", "status"), [(["127.0.0.1"], 200), ([], 403)])
    def test_forms_of_the_console_are_taken_behind_tls(self, db, one_connection, settings, trusted, status):
        from keepsite import wsgi

        settings.TRUSTED_PROXIES = trusted
        to_us = {
            "base_url": "http://keys.example",
            "environ": {"REMOTE_ADDR": "127.0.0.1"},
        }
        sent = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "keys.example", "Host": "keys.example"}
        page = webob.Request.blank("/admin/login/", headers=sent, **to_us).get_response(wsgi.application)
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)[1]
        cookie = page.headers["Set-Cookie"].partition(";")[0]

        answer = webob.Request.blank(
            "/admin/login/",
            headers=sent
            | {"Cookie": cookie, "Origin": "https://keys.example", "Referer": "https://keys.example/"},
            POST={"csrfmiddlewaretoken": token, "username": "nobody", "password": "wrong"},
            **to_us,
        ).get_response(wsgi.application)

        assert answer.status_code == status

    @pytest.mark.parametrize("scheme", ["javascript", "https, http", "", "HTTPS://evil.example/"])
    def test_no_other_scheme_gets_in(self, store, settings, scheme):
        settings.TRUSTED_PROXIES = ["127.0.0.1"]

        assert store(**{"X-Forwarded-Proto": scheme}).json["secret_ref"].startswith("http://testserver/v1/")

    @pytest.mark.parametrize(
        ("prefix", "base"),
        [("/a/b", "/a/b"), ("/a/b/", "/a/b"), ("/a", ""), ("/A/b", ""), ("/", ""), ("//evil.example", "")],
    )
    def test_no_other_prefix_gets_in(self, store, settings, prefix, base):
        settings.TRUSTED_PROXIES, settings.PUBLIC_PREFIXES = ["127.0.0.1"], ["/a/b"]

        ref = store(**{"X-Forwarded-Prefix": prefix}).json["secret_ref"]

        assert ref.startswith(f"http://testserver{base}/v1/secrets/")

    def test_of_several_hosts_the_nearest_proxys_counts(self, store, settings):
        settings.TRUSTED_PROXIES = ["127.0.0.1"]

        ref = store(**{"X-Forwarded-Host": "evil.example, keys.example"}).json["secret_ref"]

        assert ref.startswith("http://keys.example/v1/")

    def test_a_host_that_is_not_ours_is_400_from_a_proxy_too(self, store, settings):
        settings.TRUSTED_PROXIES = ["127.0.0.1"]

        assert store(**{"X-Forwarded-Host": "evil.example"}).status_code == 400

    @pytest.mark.parametrize("header", ["X-Forwarded-Port", "Forwarded"])
    def test_other_forwarding_headers_change_nothing(self, store, settings, header):
        settings.TRUSTED_PROXIES = ["127.0.0.1"]

        assert store(**{header: "host=evil.example"}).json["secret_ref"].startswith("http://testserver/v1/")


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
