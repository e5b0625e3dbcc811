"""No identity header from outside reaches the application, in any mode (spec/operations.md 3.5)."""

import pytest
import webob
from keystonemiddleware.auth_token._request import _AuthTokenRequest

from keepsite.identity import headers, noauth
from keepsite.identity.gate import guarded

EVERY_NAME = sorted(headers.NAMES | {f"{prefix}Anything" for prefix in headers.PREFIXES})


def seen_through(gate_of, sent):
    """The headers that an application behind the gate finds."""
    request = webob.Request.blank("/", headers=sent)
    seen = {}

    def application(environ, start_response):
        seen.update(webob.Request(environ).headers)
        start_response("200 OK", [])
        return [b""]

    request.get_response(gate_of(application))
    return {name.title() for name in seen}


class TestIdentityHeaders:
    @pytest.mark.parametrize("name", EVERY_NAME)
    def test_one_from_outside_is_dropped(self, settings, name):
        settings.AUTH = "local"

        assert seen_through(guarded, {name: "forged"}) == {"Host"}

    def test_what_clients_may_say_is_kept(self, settings):
        settings.AUTH = "local"
        sent = {"X-Auth-Token", "X-Service-Token", "Accept", "Openstack-Api-Version", "X-Forwarded-Proto"}

        assert seen_through(guarded, dict.fromkeys(sent, "x")) == sent | {"Host"}

    def test_noauth_mode_keeps_the_three_it_lives_on(self, settings):
        settings.AUTH = "noauth"

        seen = seen_through(guarded, dict.fromkeys(EVERY_NAME, "x"))

        assert seen == set(noauth.HEADERS) | {"Host"}

    def test_list_has_all_that_keystones_middleware_sets(self):
        assert {*_AuthTokenRequest({})._all_auth_headers(), "OpenStack-System-Scope"} <= headers.NAMES


class TestWithoutGate:
    def test_keystone_mode_knows_nobody(self, db, settings, client):
        settings.AUTH = "keystone"

        sent = {"X-Auth-Token": "any", "X-Identity-Status": "Confirmed", "X-Project-Id": "p1"}

        assert client.get("/v1/secrets", headers=sent).status_code == 401


class TestApplication:
    def test_served_application_is_behind_the_gate(self, db):
        from keepsite import wsgi

        environ = webob.Request.blank("/healthcheck", headers={"X-Roles": "admin"}).environ
        answer = wsgi.application(environ, lambda *_: None)

        assert b"".join(answer) == b"OK"
        assert "HTTP_X_ROLES" not in environ
