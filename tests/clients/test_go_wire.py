"""Go clients, request by request: gophercloud's key manager, Terraform's provider, cloud-provider-openstack.

Sent byte for byte as they send it, taken with exactly the statuses they take, decoded as strictly as Go does.
Source: spec/barbican-api.md §22.5; gophercloud v2 and terraform-provider-openstack, main branches.
"""

import base64
import json
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest

from tests.clients import go
from tests.support.waiting import wait_until

pytestmark = pytest.mark.processes

JSON_GET = {200}
DELETED = {202, 204}
UNKNOWN = "5d4f0c5e-2f4b-4b1e-9a51-0a8f3c1d2e3f"
PKCS12 = bytes(range(256)) * 4


@pytest.fixture
def client(product, key):
    """A client of a project that no other test uses."""
    return go.Gophercloud(product.url, key)


def id_of(ref):
    return ref.rpartition("/")[2]


def create_secret(client, **body):
    made = client.call("POST", "secrets", body=body, into=go.SECRET, ok={201})
    return id_of(made["secret_ref"])


def create_container(client, *refs, kind="generic", name=""):
    body = {"type": kind, "name": name}
    if refs:  # omitempty
        body["secret_refs"] = list(refs)
    return id_of(client.call("POST", "containers", body=body, into=go.CONTAINER, ok={201})["container_ref"])


def ref(client, secret_id, name=""):
    """A SecretRef as gophercloud marshals it: the name is always there."""
    shown = client.call("GET", f"secrets/{secret_id}", into=go.SECRET, ok=JSON_GET)
    return {"secret_ref": shown["secret_ref"], "name": name}


def payload_of(client, secret_id, accept="text/plain"):
    return client.call("GET", f"secrets/{secret_id}/payload", ok={200}, headers={"Accept": accept})


def is_gone(client, path):
    try:
        client.call("GET", path, ok=JSON_GET)
    except go.Unexpected as error:
        return error.status == 404
    return False


@pytest.fixture
def secret(client):
    """The id of a text secret."""
    return create_secret(client, name="n", payload="p", payload_content_type="text/plain")


class TestStrictDecoding:
    """The decoder itself: it must fail where Go would."""

    @pytest.mark.parametrize(
        ("struct", "answer"),
        [
            (go.SECRET, {"bit_length": "256"}),
            (go.SECRET, {"bit_length": 256.5}),
            (go.SECRET, {"created": "2030-01-01T00:00:00Z"}),
            (go.SECRET, {"created": "2030-01-01T00:00:00+00:00"}),
            (go.SECRET, {"content_types": ["text/plain"]}),
            (go.SECRET, {"name": 1}),
            (go.ORDER, {"error_status_code": 400}),
            (go.ORDER, {"meta": []}),
            (go.ACL, {"read": {"project-access": "true"}}),
            (go.ACL, {"read": {"users": "u1"}}),
            (go.CONTAINER, {"consumers": {}}),
            (go.CONTAINER, {"consumers": [{"URL": 1}]}),
        ],
        ids=str,
    )
    def test_a_wrong_type_fails(self, struct, answer):
        with pytest.raises(go.WrongType):
            struct(answer, "answer")

    def test_null_and_unknown_names_do_not(self):
        shown = go.SECRET({"bit_length": None, "expiration": None, "new": {}}, "answer")

        assert shown["bit_length"] is None


class TestSecrets:
    def test_create_with_everything(self, client):
        secret = create_secret(
            client,
            algorithm="aes",
            bit_length=256,
            mode="cbc",
            name="mysecret",
            payload="foobar",
            payload_content_type="text/plain",
            secret_type="opaque",
            expiration="2099-01-02T15:04:05",
        )

        shown = client.call("GET", f"secrets/{secret}", into=go.SECRET, ok=JSON_GET)
        assert (shown["name"], shown["bit_length"], shown["algorithm"]) == ("mysecret", 256, "aes")
        assert (shown["expiration"], shown["status"]) == (datetime(2099, 1, 2, 15, 4, 5), "ACTIVE")  # noqa: DTZ001  # Go's layout has no zone
        assert shown["content_types"] == {"default": "text/plain"}
        assert payload_of(client, secret) == b"foobar"

    def test_create_without_anything(self, client):
        shown = client.call("GET", f"secrets/{create_secret(client)}", into=go.SECRET, ok=JSON_GET)

        assert (shown["name"], shown["expiration"], shown["content_types"]) == (None, None, None)

    def test_update_adds_the_payload_once(self, client):
        secret = create_secret(client, name="n")
        headers = {"Content-Type": "text/plain"}
        client.call("PUT", f"secrets/{secret}", raw=b"foobar", headers=headers, ok={204})

        with pytest.raises(go.Unexpected, match="409"):
            client.call("PUT", f"secrets/{secret}", raw=b"foobar", headers=headers, ok={204})
        assert payload_of(client, secret) == b"foobar"

    @pytest.mark.parametrize("encoding", ["base64", "binary", None])
    def test_update_with_each_encoding(self, client, encoding):
        secret = create_secret(client, name="n")
        headers = {"Content-Type": "application/octet-stream"}
        if encoding:
            headers["Content-Encoding"] = encoding
        raw = base64.b64encode(PKCS12) if encoding == "base64" else PKCS12

        client.call("PUT", f"secrets/{secret}", raw=raw, headers=headers, ok={204})

        assert payload_of(client, secret, "application/octet-stream") == PKCS12

    def test_update_without_content_type_is_refused(self, client):
        with pytest.raises(go.Unexpected, match="415"):
            client.call("PUT", f"secrets/{create_secret(client)}", raw=b"x", ok={204})

    def test_delete(self, client, secret):
        client.call("DELETE", f"secrets/{secret}", ok=DELETED)

        assert is_gone(client, f"secrets/{secret}")

    def test_metadata(self, client, secret):
        path = f"secrets/{secret}/metadata"
        wanted = {"foo": "bar", "something": "something else"}
        made = client.call("PUT", path, body={"metadata": wanted}, into=go.METADATA_REF, ok={201})
        assert made["metadata_ref"].endswith(path)
        assert client.call("GET", path, into=go.METADATA, ok=JSON_GET)["metadata"] == wanted

    def test_metadata_items(self, client, secret):
        path = f"secrets/{secret}/metadata"
        client.call("POST", path, body={"key": "foo", "value": "bar"}, ok={201})
        changed = {"key": "foo", "value": "baz"}
        assert client.call("PUT", f"{path}/foo", body=changed, into=go.METADATUM, ok={200}) == changed
        assert client.call("GET", f"{path}/foo", into=go.METADATUM, ok=JSON_GET) == changed

        client.call("DELETE", f"{path}/foo", ok=DELETED)

        assert client.call("GET", path, into=go.METADATA, ok=JSON_GET)["metadata"] == {}


class TestSecretList:
    @pytest.fixture
    def listed(self, client):
        """The names that a query finds."""
        create_secret(client, name="a", algorithm="aes", bit_length=256, mode="cbc", secret_type="symmetric")
        create_secret(client, name="b", algorithm="rsa", bit_length=2048, expiration="2099-01-02T15:04:05")

        def listed(**query):
            found = client.pages(f"secrets?{urlencode(query)}", go.SECRET_PAGE, "secrets")
            return [secret["name"] for secret in found]

        return listed

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ({"name": "a"}, ["a"]),
            ({"alg": "rsa"}, ["b"]),
            ({"mode": "cbc"}, ["a"]),
            ({"bits": 256}, ["a"]),
            ({"secret_type": "symmetric"}, ["a"]),
            ({"acl_only": "true"}, []),
            ({"acl_only": "false"}, ["a", "b"]),
            ({"sort": "name:desc"}, ["b", "a"]),
            ({"offset": 1}, ["b"]),
            ({"created": "gt:2006-01-02T15:04:05"}, ["a", "b"]),
            ({"created": "gt:2006-01-02T15:04:05Z"}, ["a", "b"]),
            ({"updated": "gte:2006-01-02T15:04:05+02:00"}, ["a", "b"]),
            ({"created": "lt:2006-01-02T15:04:05Z"}, []),
            ({"expiration": "2099-01-02T15:04:05Z"}, ["b"]),
            ({"expiration": "lte:2099-01-02T15:04:05"}, ["b"]),
        ],
        ids=lambda value: urlencode(value) if isinstance(value, dict) else None,
    )
    def test_filters(self, listed, query, names):
        assert listed(**query) == names

    def test_next_is_followed_to_the_end_with_its_filters(self, client):
        for number in range(5):
            create_secret(client, name=f"s{number}", mode="ctr")
        create_secret(client, name="other")

        found = client.pages("secrets?limit=2&mode=ctr&sort=name", go.SECRET_PAGE, "secrets")

        assert [secret["name"] for secret in found] == [f"s{number}" for number in range(5)]


class TestContainers:
    @pytest.mark.parametrize("kind", ["generic", "rsa", "certificate"])
    def test_without_refs(self, client, kind):
        container = create_container(client, kind=kind)

        shown = client.call("GET", f"containers/{container}", into=go.CONTAINER, ok=JSON_GET)
        assert (shown["name"], shown["type"], shown["status"]) == ("", kind, "ACTIVE")
        assert (shown["secret_refs"], shown["consumers"]) == ([], [])

    def test_list_and_delete(self, client, secret):
        container = create_container(client, ref(client, secret, "s"), name="c")
        found = client.pages("containers?limit=1&name=c", go.CONTAINER_PAGE, "containers")
        assert [each["name"] for each in found] == ["c"]

        client.call("DELETE", f"containers/{container}", ok=DELETED)

        assert is_gone(client, f"containers/{container}")

    def test_consumers(self, client, secret):
        path = f"containers/{create_container(client, ref(client, secret), name='c')}/consumers"
        use = {"name": "CONSUMER-LZILN1zq", "URL": "http://example.com"}
        shown = client.call("POST", path, body=use, into=go.CONTAINER, ok={200})
        assert shown["consumers"] == [{"name": use["name"], "url": use["URL"]}]
        (listed,) = client.pages(path, go.CONSUMER_PAGE, "consumers")
        assert (listed["url"], listed["status"]) == (use["URL"], "ACTIVE")

        shown = client.call("DELETE", path, body=use, into=go.CONTAINER, ok={200})

        assert shown["consumers"] == []

    def test_secret_refs(self, client, secret):
        container = create_container(client)
        place = ref(client, secret, "new")
        made = client.call("POST", f"containers/{container}/secrets", body=place, into=go.CONTAINER, ok={201})
        assert id_of(made["container_ref"]) == container

        client.call("DELETE", f"containers/{container}/secrets", body=place, ok={204})

        shown = client.call("GET", f"containers/{container}", into=go.CONTAINER, ok=JSON_GET)
        assert shown["secret_refs"] == []

    def test_a_ref_with_an_empty_name(self, client, secret):
        container, place = create_container(client), ref(client, secret)
        client.call("POST", f"containers/{container}/secrets", body=place, into=go.CONTAINER, ok={201})

        client.call("DELETE", f"containers/{container}/secrets", body=place, ok={204})


class TestACLs:
    @pytest.fixture(params=["secrets", "containers"])
    def path(self, request, client, secret):
        """The ACL of a secret, and of a container."""
        subject = secret if request.param == "secrets" else create_container(client)
        return f"{request.param}/{subject}/acl"

    def test_default(self, client, path):
        shown = client.call("GET", path, into=go.ACL, ok=JSON_GET)

        assert shown["read"]["project-access"] is True

    def test_set_update_delete(self, client, path):
        body = {"read": {"users": ["u7", "u8"], "project-access": False}}
        made = client.call("PUT", path, body=body, into=go.ACL_REF, ok={200})
        assert made["acl_ref"].endswith(path)
        shown = client.call("GET", path, into=go.ACL, ok=JSON_GET)["read"]
        assert (shown["users"], shown["project-access"]) == (["u7", "u8"], False)
        client.call("PATCH", path, body={"read": {"users": []}}, into=go.ACL_REF, ok={200})
        shown = client.call("GET", path, into=go.ACL, ok=JSON_GET)["read"]
        assert (shown["users"], shown["project-access"]) == ([], False)

        client.call("DELETE", path, ok={200})

        assert client.call("GET", path, into=go.ACL, ok=JSON_GET)["read"]["project-access"] is True


class TestOrders:
    @pytest.fixture
    def placed(self, client):
        """Places an order; returns it once it has ended."""

        def placed(kind="key", **meta):
            body = {"type": kind, "meta": {"algorithm": "aes", "bit_length": 256, "mode": "", **meta}}
            order = client.call("POST", "orders", body=body, into=go.ORDER, ok={202})
            path = f"orders/{id_of(order['order_ref'])}"

            def ended():
                order = client.call("GET", path, into=go.ORDER, ok=JSON_GET)
                assert order["status"] in {"PENDING", "ACTIVE"}, order
                return order if order["status"] == "ACTIVE" else None

            return path, wait_until(ended, 60)

        return placed

    def test_key(self, client, placed):
        _, order = placed(
            name="k",
            mode="cbc",
            expiration="2099-01-02T15:04:05",
            payload_content_type="application/octet-stream",
        )

        assert order["meta"]["expiration"] == datetime(2099, 1, 2, 15, 4, 5)  # noqa: DTZ001  # Go's layout has no zone
        assert len(payload_of(client, id_of(order["secret_ref"]), "application/octet-stream")) == 32

    def test_asymmetric(self, client, placed):
        _, order = placed("asymmetric", algorithm="rsa", bit_length=2048)

        container = f"containers/{id_of(order['container_ref'])}"
        shown = client.call("GET", container, into=go.CONTAINER, ok=JSON_GET)
        assert {place["name"] for place in shown["secret_refs"]} == {"private_key", "public_key"}

    def test_list_and_delete(self, client, placed):
        path, _ = placed()
        placed()
        assert len(client.pages("orders?limit=1", go.ORDER_PAGE, "orders")) == 2

        client.call("DELETE", path, ok=DELETED)

        assert is_gone(client, path)


class TestQuotas:
    def test_of_the_own_project(self, client):
        shown = client.call("GET", "quotas", into=go.QUOTAS, ok=JSON_GET)["quotas"]

        assert shown == dict.fromkeys(("secrets", "orders", "containers", "consumers", "cas"), -1)

    def test_of_a_project(self, product):
        admin = go.Gophercloud(product.url, product.make_key(project="service", user="root", roles=["admin"]))
        path, wanted = (
            "project-quotas/go",
            dict.fromkeys(("secrets", "orders", "containers", "consumers", "cas"), 10),
        )
        admin.call("PUT", path, body={"project_quotas": wanted}, ok={204})
        assert admin.call("GET", path, into=go.PROJECT_QUOTAS, ok=JSON_GET)["project_quotas"] == wanted
        listed = admin.pages("project-quotas?limit=1", go.PROJECT_QUOTA_PAGE, "project_quotas")
        assert [each["project_id"] for each in listed] == ["go"]

        admin.call("DELETE", path, ok={204})

        assert is_gone(admin, path)


class TestTerraformSecret:
    """``openstack_keymanager_secret_v1``, step by step."""

    @pytest.fixture
    def created(self, client):
        """Runs the resource's Create; returns the path."""

        def created(raw, metadata=None, **headers):
            path = f"secrets/{create_secret(client, name='tf', algorithm='aes', bit_length=256, mode='cbc')}"
            assert client.call("GET", path, into=go.SECRET, ok=JSON_GET)["status"] == "ACTIVE"
            acl = {"read": {"users": ["u9"], "project-access": True}}
            client.call("PUT", f"{path}/acl", body=acl, into=go.ACL_REF, ok={200})
            client.call("PUT", path, raw=raw, headers=headers, ok={204})
            assert client.call("GET", path, into=go.SECRET, ok=JSON_GET)["status"] == "ACTIVE"
            if metadata:
                wanted = {"metadata": metadata}
                client.call("PUT", f"{path}/metadata", body=wanted, into=go.METADATA_REF, ok={201})
                client.call("GET", f"{path}/metadata", into=go.METADATA, ok=JSON_GET)
            return path

        return created

    @pytest.mark.parametrize(
        ("raw", "headers", "kept"),
        [
            (b"text\n", {"Content-Type": "text/plain"}, b"text\n"),
            (b"text", {"Content-Type": "text/plain;charset=utf-8"}, b"text"),
            (b"text", {"Content-Type": "text/plain; charset=utf-8"}, b"text"),
            (
                base64.b64encode(PKCS12),
                {"Content-Type": "application/octet-stream", "Content-Encoding": "base64"},
                PKCS12,
            ),
            (b"raw", {"Content-Type": "application/octet-stream", "Content-Encoding": "binary"}, b"raw"),
        ],
        ids=["text", "charset", "charset with a blank", "base64", "binary"],
    )
    def test_create_and_read(self, client, created, raw, headers, kept):
        path = created(raw, **headers)

        shown = client.call("GET", path, into=go.SECRET, ok=JSON_GET)
        accept = shown["content_types"]["default"]
        assert client.call("GET", f"{path}/payload", ok={200}, headers={"Accept": accept}) == kept
        assert client.call("GET", f"{path}/metadata", into=go.METADATA, ok=JSON_GET)["metadata"] == {}
        assert client.call("GET", f"{path}/acl", into=go.ACL, ok=JSON_GET)["read"]["users"] == ["u9"]

    def test_update_of_acl_and_metadata(self, client, created):
        path = created(b"x", {"Old": "1", "kept": "1"}, **{"Content-Type": "text/plain"})
        acl = {"read": {"users": [], "project-access": False}}

        client.call("PATCH", f"{path}/acl", body=acl, into=go.ACL_REF, ok={200})
        client.call("DELETE", f"{path}/metadata/Old", ok=DELETED)
        client.call(
            "PUT", f"{path}/metadata/kept", body={"key": "kept", "value": "2"}, into=go.METADATUM, ok={200}
        )
        client.call("POST", f"{path}/metadata", body={"key": "New", "value": "3"}, ok={201})
        changed = {"key": "New", "value": "4"}  # the provider keeps the user's capitals
        client.call("PUT", f"{path}/metadata/New", body=changed, into=go.METADATUM, ok={200})

        shown = client.call("GET", f"{path}/metadata", into=go.METADATA, ok=JSON_GET)
        assert shown["metadata"] == {"kept": "2", "new": "4"}
        assert client.call("GET", f"{path}/acl", into=go.ACL, ok=JSON_GET)["read"]["project-access"] is False

    def test_destroy_until_404(self, client, created):
        path = created(b"x", **{"Content-Type": "text/plain"})
        client.call("DELETE", path, ok=DELETED)

        with pytest.raises(go.Unexpected, match="404"):
            client.call("DELETE", path, ok=DELETED)


class TestTerraformContainer:
    """``openstack_keymanager_container_v1``: refs removed and added again, in place."""

    def test_life(self, client, secret):
        other = create_secret(client, name="other", payload="q", payload_content_type="text/plain")
        certificate, key = ref(client, secret, "certificate"), ref(client, other, "private_key")
        path = f"containers/{create_container(client, certificate, key, name='tls')}"
        assert client.call("GET", path, into=go.CONTAINER, ok=JSON_GET)["status"] == "ACTIVE"
        acl = {"read": {"users": ["u9"], "project-access": True}}
        client.call("PUT", f"{path}/acl", body=acl, into=go.ACL_REF, ok={200})

        for _ in range(2):  # what was removed can be added again, and again
            client.call("DELETE", f"{path}/secrets", body=certificate, ok={204})
            client.call("POST", f"{path}/secrets", body=certificate, into=go.CONTAINER, ok={201})
        client.call("PATCH", f"{path}/acl", body=acl, into=go.ACL_REF, ok={200})

        shown = client.call("GET", path, into=go.CONTAINER, ok=JSON_GET)
        assert {place["name"] for place in shown["secret_refs"]} == {"certificate", "private_key"}
        client.call("DELETE", path, ok=DELETED)
        with pytest.raises(go.Unexpected, match="404"):
            client.call("DELETE", path, ok=DELETED)

    def test_a_ref_that_is_gone_already_is_a_404(self, client, secret):
        path = f"containers/{create_container(client)}/secrets"

        with pytest.raises(go.Unexpected, match="404"):
            client.call("DELETE", path, body=ref(client, secret, "x"), ok={204})


class TestTerraformData:
    def test_exactly_one_secret(self, client, secret):
        create_secret(client, name="decoy")
        query = urlencode({"name": "n", "acl_only": "false", "created": "gte:2006-01-02T15:04:05Z"})

        (found,) = client.pages(f"secrets?{query}", go.SECRET_PAGE, "secrets")

        assert payload_of(client, id_of(found["secret_ref"]), found["content_types"]["default"]) == b"p"

    def test_exactly_one_container(self, client):
        create_container(client, name="decoy")
        create_container(client, name="c")

        (found,) = client.pages("containers?name=c", go.CONTAINER_PAGE, "containers")

        assert client.call("GET", f"containers/{id_of(found['container_ref'])}/acl", into=go.ACL, ok=JSON_GET)


class TestCloudProvider:
    """cloud-provider-openstack: TLS of load balancers, and the KMS plugin of Kubernetes."""

    def test_a_bundle_is_stored_once_and_found_by_its_exact_name(self, client):
        name = "kube_ingress_k8s_default_web-100%_tls"
        assert client.pages(f"secrets?{urlencode({'name': name})}", go.SECRET_PAGE, "secrets") == []
        secret = create_secret(
            client,
            name=name,
            algorithm="aes",
            mode="cbc",
            bit_length=256,
            payload=base64.b64encode(PKCS12).decode(),
            payload_content_type="application/octet-stream",
            payload_content_encoding="base64",
            secret_type="opaque",
        )

        (found,) = client.pages(f"secrets?{urlencode({'name': name})}", go.SECRET_PAGE, "secrets")

        assert id_of(found["secret_ref"]) == secret
        assert payload_of(client, secret, "application/octet-stream") == PKCS12

    def test_a_ref_is_a_secret_or_a_container(self, client, secret):
        container = create_container(client, ref(client, secret, "certificate"), kind="certificate")

        client.call("GET", f"containers/{container}", into=go.CONTAINER, ok=JSON_GET)
        assert is_gone(client, f"containers/{secret}")

    def test_the_key_encryption_key_of_a_cluster(self, client):
        key = datetime.now(UTC).isoformat().encode().ljust(32)[:32]
        body = {"payload": base64.b64encode(key).decode(), "payload_content_encoding": "base64"}
        secret = create_secret(
            client, secret_type="symmetric", algorithm="aes", bit_length=256, mode="cbc",
            payload_content_type="application/octet-stream", **body,
        )  # fmt: skip

        assert payload_of(client, secret, "application/octet-stream") == key


class TestRefusals:
    """gophercloud reads the body of any other status as it is; providers show it to people."""

    @pytest.mark.parametrize(
        ("method", "path", "body", "status"),
        [
            ("POST", "secrets", {"name": "n", "payload_content_type": "text/plain"}, 400),
            ("GET", f"secrets/{UNKNOWN}", None, 404),
            ("POST", "orders", {"type": "key", "meta": {"algorithm": "", "bit_length": 0, "mode": ""}}, 400),
        ],
    )
    def test_explain_themselves(self, client, method, path, body, status):
        with pytest.raises(go.Unexpected) as refused:
            client.call(method, path, body=body, ok={201})

        assert refused.value.status == status
        assert json.loads(refused.value.body)["description"]

    def test_an_expired_secret_is_a_404(self, client):
        soon = (datetime.now(UTC) + timedelta(seconds=3)).strftime(go.LAYOUT)
        secret = create_secret(client, name="n", expiration=soon)

        wait_until(lambda: is_gone(client, f"secrets/{secret}"))
