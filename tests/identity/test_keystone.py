"""Callers whose token Keystone vouches for: a real Keystone, its own middleware, a real memcached.

Source: spec/operations.md 3.2, 3.5; spec/barbican-api.md 1.2, 1.3.
"""

import json
import re
import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
import requests
import webob
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections

from keepsite.identity.gate import guarded
from keepsite.identity.token_cache import SharedTokenCache, token_cache
from tests.support.callers import path_of
from tests.support.product import Product
from tests.support.servers.keystone import PASSWORD, Keystone
from tests.support.servers.memcached import Memcached
from tests.support.servers.ports import free_ports
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.keystone, pytest.mark.processes]

CACHE_S = 4
A_SECRET = {"payload": "hello", "payload_content_type": "text/plain"}
FORGED = {
    "X-Identity-Status": "Confirmed",
    "X-Service-Identity-Status": "Confirmed",
    "X-User-Id": "eve",
    "X-Roles": "admin",
    "X-Role": "admin",
    "X-Is-Admin-Project": "True",
    "OpenStack-System-Scope": "all",
    "X-Tenant-Id": "0" * 32,
    "X-Tenant": "0" * 32,
    "X-Domain-Id": "default",
}


@pytest.fixture(scope="module")
def keystone():
    with Keystone() as server:
        yield server


@pytest.fixture(scope="module")
def memcached():
    with Memcached() as server:
        yield server


@pytest.fixture(scope="module")
def people(keystone):
    """Two projects and who has which role where, by user name."""
    projects = {name: keystone.make_project(name) for name in ("red", "blue", "service")}
    keystone.make_user("keepsite", service=["service"])
    ids = {
        "ann": keystone.make_user("ann", red=["member"]),
        "bob": keystone.make_user("bob", blue=["member"]),
        "rita": keystone.make_user("rita", red=["reader"]),
        "cleo": keystone.make_user("cleo", red=["Creator"]),
        "nova": keystone.make_user("nova", service=["service"]),
        "olga": keystone.make_user("olga", service=["member"]),
        "sys": keystone.make_user("sys", system=["admin"], domain=["admin"]),
    }
    return SimpleNamespace(ids=ids, **projects)


@pytest.fixture(scope="module")
def account(keystone, people):
    """The settings of the product that say where Keystone is, as an environment."""
    return {
        "KEEPSITE_AUTH": "keystone",
        "KEEPSITE_KEYSTONE_URL": keystone.url,
        "KEEPSITE_KEYSTONE_USERNAME": "keepsite",
        "KEEPSITE_KEYSTONE_PASSWORD": PASSWORD,
        "KEEPSITE_KEYSTONE_PROJECT": "service",
        "KEEPSITE_KEYSTONE_CACHE_S": str(CACHE_S),
    }


@pytest.fixture(scope="module")
def product(tmp_path_factory, new_database_url, keystone, memcached, account):
    """The API as processes behind Keystone, with both role sets, in Keystone's catalog."""
    product = Product(
        tmp_path_factory.mktemp("keystone") / "state",
        database_url=new_database_url(),
        KEEPSITE_KEYSTONE_MEMCACHED=memcached.url,
        KEEPSITE_ROLE_SET="both",
        KEEPSITE_TRUSTED_PROXIES="127.0.0.1",
        KEEPSITE_PUBLIC_PREFIXES="/key-manager",
        **account,
    ).setup()
    keystone.publish("key-manager", public=product.url, internal=product.url)
    try:
        yield product.start("api")
    finally:
        product.stop()


@pytest.fixture
def call(product):
    """Sends one request to the product: ``call("GET", "/v1/secrets", token)``."""

    def call(method, path, token=None, *, body=None, **headers):
        sent = {"X-Auth-Token": token} if token else {}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.request(method, product.url + path, headers=sent, json=body, timeout=30)

    return call


@pytest.fixture
def ann(keystone, people):
    """A fresh token of a member of project red."""
    return keystone.token("ann", project_id=people.red)


@pytest.fixture
def gate(mkek, settings, account, monkeypatch):
    """Builds the WSGI application in this process; settings by name, ``KEYSTONE_CACHE_S=0``."""
    from keepsite.identity import keystone as ours

    caches = []

    def remembered(addresses):
        caches.append(token_cache(addresses))
        return caches[-1]

    monkeypatch.setattr(ours, "token_cache", remembered)

    def build(**wanted):
        values = {name.removeprefix("KEEPSITE_"): value for name, value in account.items()}
        for name, value in (values | {"KEYSTONE_CACHE_S": 60} | wanted).items():
            setattr(settings, name, value)
        application = guarded(get_wsgi_application())

        def call(method, path, **headers):
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            return webob.Request.blank(path, method=method, headers=sent).get_response(application)

        return call

    # The connection holds the test's transaction: no request may close it.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield build
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)
    for cache in caches:
        if isinstance(cache, SharedTokenCache):
            cache.close()


class TestMember:
    def test_stores_and_reads_in_the_tokens_project(self, call, ann, people):
        stored = call("POST", "/v1/secrets", ann, body=A_SECRET)

        secret = path_of(stored.json()["secret_ref"])
        assert stored.status_code == 201
        assert call("GET", f"{secret}/payload", ann, Accept="text/plain").text == "hello"
        assert call("GET", secret, ann).json()["creator_id"] == people.ids["ann"]

    def test_another_project_sees_that_it_exists_and_nothing_else(self, call, ann, keystone, people):
        secret = path_of(call("POST", "/v1/secrets", ann, body=A_SECRET).json()["secret_ref"])
        bob = keystone.token("bob", project_id=people.blue)

        assert call("GET", secret, bob).status_code == 403
        assert call("GET", f"{secret}/payload", bob, Accept="text/plain").status_code == 403
        assert call("GET", "/v1/secrets", bob).json()["total"] == 0

    def test_audit_record_names_the_token_by_its_audit_id(self, call, ann, product, people):
        call("GET", "/v1/secrets", ann)

        record = json.loads(audit_lines(product)[-1])
        assert record["method"] == "keystone"
        assert record["user_id"] == people.ids["ann"]
        assert record["project_id"] == people.red
        assert re.fullmatch(r"[A-Za-z0-9_-]{22}", record["credential_id"])

    def test_token_is_written_nowhere(self, call, ann, product):
        call("GET", "/v1/secrets", ann)
        call("GET", "/v1/secrets", ann[:-4] + "AAAA")

        assert not [path for path, text in product.written().items() if ann[:-8].encode() in text]


class TestRoles:
    @pytest.mark.parametrize(
        ("user", "list_status", "store_status"),
        [("ann", 200, 201), ("cleo", 200, 201), ("rita", 403, 403)],
        ids=["member", "creator of the legacy set, whatever its case", "reader"],
    )
    def test_role_decides(self, call, keystone, people, user, list_status, store_status):
        token = keystone.token(user, project_id=people.red)

        assert call("GET", "/v1/secrets", token).status_code == list_status
        assert call("POST", "/v1/secrets", token, body={}).status_code == store_status


class TestWithoutToken:
    def test_401_names_keystone_and_has_what_clients_read(self, call, keystone):
        answer = call("GET", "/v1/secrets")

        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == f'Keystone uri="{keystone.url}"'
        assert answer.json()["title"] == "Unauthorized"
        assert answer.json()["description"]
        assert answer.json()["error"]["code"] == 401
        assert answer.headers["x-openstack-request-id"].startswith("req-")

    @pytest.mark.parametrize("token", ["nonsense", "gAAAA" + "x" * 180, "ks_" + "0" * 32], ids=str)
    def test_garbage_is_401(self, call, token):
        assert call("GET", "/v1/secrets", token).status_code == 401

    @pytest.mark.parametrize("path", ["/v1", "/v1/", "//v1//secrets", "/v1/nowhere"])
    def test_everything_under_v1_is_shut(self, call, path):
        assert call("GET", path).status_code == 401

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/", 300),
            ("GET", "/healthcheck", 200),
            ("GET", "/admin/login/", 200),
            ("OPTIONS", "/v1/secrets", 200),
        ],
    )
    def test_open_paths_stay_open(self, call, method, path, status):
        assert call(method, path).status_code == status


class TestForgedHeaders:
    def test_without_token_they_are_nobody(self, call, people):
        assert call("GET", "/v1/secrets", X_Project_Id=people.red, **FORGED).status_code == 401

    def test_with_a_garbage_token_they_are_nobody(self, call, people):
        assert call("GET", "/v1/secrets", "garbage", X_Project_Id=people.red, **FORGED).status_code == 401

    def test_with_a_token_they_change_nothing(self, call, keystone, people):
        rita = keystone.token("rita", project_id=people.red)
        bob = keystone.token("bob", project_id=people.blue)

        assert call("GET", "/v1/secrets", rita, **FORGED).status_code == 403
        answer = call("POST", "/v1/secrets", bob, body={}, X_Project_Id=people.red, **FORGED)
        secret = path_of(answer.json()["secret_ref"])
        assert answer.status_code == 201
        assert call("GET", secret, bob, **FORGED).json()["creator_id"] == people.ids["bob"]

    def test_names_with_underscores_do_not_get_through(self, product, people, ann):
        names = "X_Auth_Token", "X_Project_Id", "X_Roles", "X_Identity_Status"
        values = ann, people.red, "admin", "Confirmed"
        lines = [f"{name}: {value}" for name, value in zip(names, values, strict=True)]

        assert raw_status(product.port, "GET /v1/secrets HTTP/1.1", "Host: localhost", *lines) == 401

    def test_swifts_name_for_the_token_is_not_ours(self, call, ann):
        assert call("GET", "/v1/secrets", X_Storage_Token=ann).status_code == 401


class TestScope:
    @pytest.mark.parametrize(
        "scope",
        [{"unscoped": True}, {"domain_id": "default"}, {"system_scope": "all"}],
        ids=["unscoped", "domain", "system"],
    )
    def test_token_without_project_is_401(self, call, keystone, people, scope):
        token = keystone.token("sys", **scope)

        answer = call("GET", "/v1/secrets", token)

        assert answer.status_code == 401
        assert "project" in answer.json()["description"]

    def test_project_and_system_scope_in_one_token_is_403(self, gate, ann, monkeypatch):
        from keepsite.identity import keystone as ours

        fetch = ours._AuthToken.fetch_token

        def with_system_scope(self, token, **options):
            data = fetch(self, token, **options)
            return {"token": data["token"] | {"system": {"all": True}}}

        monkeypatch.setattr(ours._AuthToken, "fetch_token", with_system_scope)
        call = gate()

        assert call("GET", "/v1", X_Auth_Token=ann).status_code == 200
        assert call("GET", "/v1/secrets", X_Auth_Token=ann).status_code == 403


class TestEndOfAToken:
    def test_expired_is_401_also_while_it_is_cached(self, call, keystone, people):
        token = keystone.token("ann", brief=True, project_id=people.red)

        assert call("GET", "/v1/secrets", token).status_code == 200
        wait_until(lambda: call("GET", "/v1/secrets", token).status_code == 401, CACHE_S - 1)

    def test_revoked_is_accepted_as_long_as_it_is_cached_and_no_longer(self, call, keystone, ann):
        assert call("GET", "/v1/secrets", ann).status_code == 200
        keystone.revoke(ann)

        assert call("GET", "/v1/secrets", ann).status_code == 200
        wait_until(lambda: call("GET", "/v1/secrets", ann).status_code == 401, CACHE_S + 5)

    def test_without_cache_a_revocation_holds_at_once(self, gate, keystone, ann):
        call = gate(KEYSTONE_CACHE_S=0)
        assert call("GET", "/v1/secrets", X_Auth_Token=ann).status_code == 200

        keystone.revoke(ann)

        assert call("GET", "/v1/secrets", X_Auth_Token=ann).status_code == 401


class TestServiceToken:
    @pytest.fixture
    def expired(self, keystone, people):
        token = keystone.token("ann", brief=True, project_id=people.red)
        wait_until(lambda: not keystone.vouches_for(token), 10)
        return token

    def test_it_lets_a_service_finish_what_an_expired_user_began(self, call, keystone, people, expired):
        nova = keystone.token("nova", project_id=people.service)

        answer = call("POST", "/v1/secrets", expired, body={}, X_Service_Token=nova)

        assert call("GET", "/v1/secrets", expired).status_code == 401
        assert answer.status_code == 201
        assert call("GET", "/v1/secrets", expired).status_code == 401

    def test_without_the_role_it_is_no_service_token(self, call, keystone, people, expired, ann):
        olga = keystone.token("olga", project_id=people.service)

        assert call("GET", "/v1/secrets", expired, X_Service_Token=olga).status_code == 401
        assert call("GET", "/v1/secrets", ann, X_Service_Token=olga).status_code == 401

    def test_garbage_beside_a_good_token_is_401(self, call, ann):
        assert call("GET", "/v1/secrets", ann, X_Service_Token="garbage").status_code == 401

    def test_alone_it_is_nobody(self, call, keystone, people):
        nova = keystone.token("nova", project_id=people.service)

        assert call("GET", "/v1/secrets", X_Service_Token=nova).status_code == 401

    def test_its_roles_do_not_become_the_users(self, call, keystone, people):
        rita = keystone.token("rita", project_id=people.red)
        nova = keystone.token("nova", project_id=people.service)

        assert call("GET", "/v1/secrets", rita, X_Service_Token=nova).status_code == 403


class TestApplicationCredential:
    def test_access_rules_are_kept(self, call, keystone, people):
        rules = [("POST", "/v1/secrets"), ("GET", "/v1/secrets/*/payload")]
        _, token = keystone.application_credential_token("ann", "red", roles=["member"], rules=rules)

        stored = call("POST", "/v1/secrets", token, body=A_SECRET)

        secret = path_of(stored.json()["secret_ref"])
        assert stored.status_code == 201
        assert call("GET", f"{secret}/payload", token, Accept="text/plain").status_code == 200
        assert call("GET", secret, token).status_code == 401
        assert call("GET", f"/v1//secrets/{secret}", token).status_code == 401
        assert call("DELETE", secret, token).status_code == 401
        ref_as_id = f"/v1/secrets/http://testserver{secret}"
        assert call("GET", f"{ref_as_id}/payload", token, Accept="text/plain").status_code == 200
        assert call("GET", ref_as_id, token).status_code == 401

    def test_access_rules_are_of_the_path_that_refs_show_behind_a_prefix(self, call, ann, keystone, people):
        proxied = {"X_Forwarded_Prefix": "/key-manager"}
        ref = call("POST", "/v1/secrets", ann, body=A_SECRET, **proxied).json()["secret_ref"]
        shown = path_of(ref)
        rules = [("GET", f"{shown}/payload")]
        _, token = keystone.application_credential_token("ann", "red", roles=["member"], rules=rules)
        passed_on = shown.removeprefix("/key-manager")

        assert passed_on != shown
        assert call("GET", f"{passed_on}/payload", token, **proxied).status_code == 200
        assert call("GET", f"{passed_on}/payload", token).status_code == 401
        _, token = keystone.application_credential_token(
            "ann", "red", roles=["member"], rules=[("GET", "/a/**")]
        )
        assert call("GET", f"{passed_on}/payload", token, X_Forwarded_Prefix="/a").status_code == 401

    def test_a_garbage_service_token_does_not_lift_them(self, call, keystone, people):
        _, token = keystone.application_credential_token(
            "ann", "red", roles=["member"], rules=[("GET", "/v1/orders")]
        )

        assert call("GET", "/v1/orders", token).status_code == 200
        assert call("GET", "/v1/secrets", token, X_Service_Token="garbage").status_code == 401
        assert call("GET", "/v1/secrets", token, X_Service_Token=token).status_code == 401

    def test_without_rules_it_is_its_owner_and_the_audit_record_names_it(
        self, call, keystone, people, product
    ):
        credential_id, token = keystone.application_credential_token("ann", "red", roles=["member"])

        assert call("POST", "/v1/secrets", token, body={}).status_code == 201
        record = json.loads(audit_lines(product)[-1])
        assert record["credential_id"] == credential_id
        assert record["user_id"] == people.ids["ann"]


class TestKeystoneAway:
    def test_known_tokens_work_and_others_are_told_to_come_back(self, call, keystone, people, ann):
        other = keystone.token("ann", project_id=people.red)
        assert call("GET", "/v1/secrets", ann).status_code == 200

        keystone.kill()
        try:
            assert call("GET", "/v1/secrets", ann).status_code == 200
            refused = call("GET", "/v1/secrets", other)
            assert refused.status_code == 503
            assert int(refused.headers["Retry-After"]) >= 1
            assert refused.json()["title"] == "Service Unavailable"
            assert call("GET", "/v1/secrets").status_code == 401
            assert call("GET", "/healthcheck").status_code == 200
            assert call("GET", "/").status_code == 300
        finally:
            keystone.bring_back()
        assert call("GET", "/v1/secrets", other).status_code == 200

    def test_keystone_that_hangs_is_503(self, call, keystone, people, ann):
        with keystone.frozen():
            assert call("GET", "/v1/secrets", ann).status_code == 503
            assert call("GET", "/", ann).elapsed.total_seconds() < 1
        assert call("GET", "/v1/secrets", ann).status_code == 200

    @pytest.mark.parametrize("status", [429, 500, 502])
    def test_keystone_that_cannot_answer_is_503(self, gate, keystone, ann, status):
        with answering(status) as url:
            keystone.publish("identity", admin=url)
            call = gate(KEYSTONE_INTERFACE="admin")
            try:
                answer = call("GET", "/v1/secrets", X_Auth_Token=ann)
            finally:
                keystone.withdraw("admin")

        assert answer.status_code == 503
        assert "Retry-After" in answer.headers

    def test_keystone_that_refuses_our_own_account_is_503(self, gate, ann):
        call = gate(KEYSTONE_PASSWORD="wrong")

        assert call("GET", "/v1/secrets", X_Auth_Token=ann).status_code == 503

    def test_catalog_without_the_wanted_endpoint_is_503(self, gate, ann):
        call = gate(KEYSTONE_INTERFACE="admin")

        assert call("GET", "/v1/secrets", X_Auth_Token=ann).status_code == 503

    def test_open_paths_never_ask(self, gate):
        call = gate(KEYSTONE_URL=f"http://127.0.0.1:{free_ports(1)[0]}")

        for path, status in (("/", 300), ("/healthcheck", 200), ("/admin/login/", 200)):
            assert call("GET", path, X_Auth_Token="unheard of").status_code == status
        assert call("OPTIONS", "/v1/secrets", X_Auth_Token="unheard of").status_code == 200
        assert call("GET", "/v1/secrets", X_Auth_Token="unheard of").status_code == 503


class TestTokenCache:
    def test_lost_memcached_costs_nothing_but_a_question(self, call, memcached, ann):
        assert call("GET", "/v1/secrets", ann).status_code == 200

        memcached.kill()
        try:
            assert [call("GET", "/v1/secrets", ann).status_code for _ in range(5)] == [200] * 5
        finally:
            memcached.bring_back()

    def test_hanging_memcached_is_left_alone(self, gate, memcached, ann):
        call = gate(KEYSTONE_MEMCACHED=[memcached.url])
        memcached.freeze()
        try:
            assert call("GET", "/v1/secrets", X_Auth_Token=ann).status_code == 200
            started = time.monotonic()
            assert call("GET", "/v1/orders", X_Auth_Token=ann).status_code == 200
            assert time.monotonic() - started < 3
        finally:
            memcached.thaw()

    def test_memcached_holds_neither_token_nor_name(self, gate, memcached, ann, people):
        memcached.flush()
        gate(KEYSTONE_MEMCACHED=[memcached.url])("GET", "/v1/secrets", X_Auth_Token=ann)

        held = everything_in(memcached)

        assert held
        assert ann.encode() not in held
        assert people.red.encode() not in held

    def test_forged_entries_are_not_believed(self, gate, memcached, ann):
        call = gate(KEYSTONE_MEMCACHED=[memcached.url])
        call("GET", "/v1/secrets", X_Auth_Token=ann)
        for key in keys_in(memcached):
            talk(memcached, b"set %b 1 0 5\r\nhello\r\n" % key)  # 1: a pickle, to python-memcached

        assert call("GET", "/v1/secrets", X_Auth_Token=ann).status_code == 200

    @pytest.mark.parametrize("shared", [False, True], ids=["in the process", "in memcached"])
    def test_known_token_is_not_asked_about(self, gate, memcached, keystone, ann, shared):
        call = gate(KEYSTONE_MEMCACHED=[memcached.url] if shared else [])
        assert call("GET", "/v1/secrets", X_Auth_Token=ann).status_code == 200

        keystone.revoke(ann)

        assert call("GET", "/v1/secrets", X_Auth_Token=ann).status_code == 200


class TestClient:
    def test_barbicanclient_finds_us_in_the_catalog(self, product, keystone, people):
        from barbicanclient import client

        barbican = client.Client(session=keystone.session("ann", "red"))
        secret = barbican.secrets.create(name="from the client", payload="hello")
        ref = secret.store()

        assert ref.startswith(f"{product.url}/v1/secrets/")
        assert barbican.secrets.get(ref).payload == "hello"
        barbican.secrets.delete(ref)

    def test_barbicanclient_understands_a_refusal(self, product, keystone, people):
        from barbicanclient import client
        from barbicanclient.exceptions import HTTPClientError

        barbican = client.Client(session=keystone.session("rita", "red"))

        with pytest.raises(HTTPClientError, match="Forbidden"):
            barbican.secrets.create(payload="hello").store()


def audit_lines(product):
    return [
        line
        for path in sorted((product.folder / "audit").iterdir())
        for line in path.read_text().splitlines()
    ]


def raw_status(port, *lines):
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode())
        return int(connection.makefile("rb").readline().split()[1])


def talk(memcached, command):
    with socket.create_connection(("127.0.0.1", memcached.port), timeout=5) as connection:
        connection.sendall(command)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def keys_in(memcached):
    """The keys of the cache; the dump writes base64's last letters percent-encoded."""
    from urllib.parse import unquote_to_bytes

    listed = talk(memcached, b"lru_crawler metadump all\r\n")
    return [unquote_to_bytes(key) for key in re.findall(rb"key=(\S+)", listed)]


def everything_in(memcached):
    return b"".join(talk(memcached, b"get %b\r\n" % key) for key in keys_in(memcached))


@contextmanager
def answering(status):
    """A web server that says it is Keystone and answers every question about a token with ``status``."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked = "/auth/tokens" in self.path
            body = b"{}" if asked else json.dumps(
                {"version": {"id": "v3.14", "status": "stable", "links": [{"rel": "self", "href": url}]}}
            ).encode()  # fmt: skip
            self.send_response(status if asked else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    url = f"http://127.0.0.1:{server.server_port}/v3"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield url
    finally:
        server.shutdown()
        server.server_close()
