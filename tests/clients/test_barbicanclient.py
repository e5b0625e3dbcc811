"""The unmodified python-barbicanclient, as castellan, heat and octavia use it, against the whole product.

Source: spec/barbican-api.md §22.1.
"""

import secrets

import pytest
from barbicanclient import client as barbicanclient
from barbicanclient import exceptions
from keystoneauth1 import exceptions as keystone_exceptions
from keystoneauth1 import session, token_endpoint

from tests.support.waiting import wait_until

pytestmark = pytest.mark.processes

NOVA = {"service": "nova", "resource_type": "instance", "resource_id": "i-1"}


def client_of(product, key=None):
    """A client with a plain token-endpoint session, as a user writes it."""
    auth = token_endpoint.Token(product.url, key or product.key)
    return barbicanclient.Client(session=session.Session(auth=auth), endpoint=product.url)


@pytest.fixture
def barbican(product, key):
    """A client of a project that no other test uses."""
    return client_of(product, key)


@pytest.fixture
def stored(barbican):
    """Stores a secret, returns its ref."""

    def store(**fields):
        return barbican.secrets.create(**fields).store()

    return store


class TestStore:
    @pytest.mark.parametrize(
        "payload", ["hello", "  ключ \U0001f511\n", b"\x00\xff" * 16], ids=["text", "astral", "octets"]
    )
    def test_a_payload_comes_back_as_the_type_it_was(self, barbican, stored, payload):
        ref = stored(name="n", payload=payload)

        assert barbican.secrets.get(ref).payload == payload

    def test_32_random_bytes_are_the_same_in_the_same_order(self, barbican, stored):
        key = secrets.token_bytes(32)

        ref = stored(name="key", payload=key, algorithm="aes", bit_length=256, mode="cbc")

        read = barbican.secrets.get(ref)
        assert (read.payload, read.algorithm, read.bit_length, read.mode) == (key, "aes", 256, "cbc")
        assert read.content_types == {"default": "application/octet-stream"}

    @pytest.mark.parametrize("payload", ["second step", b"\x01\x02"], ids=["text", "octets"])
    def test_in_two_steps(self, barbican, stored, payload):
        ref = stored(name="n")
        barbican.secrets.update(ref, payload)

        assert barbican.secrets.get(ref).payload == payload

    def test_a_second_payload_is_a_client_error(self, barbican, stored):
        ref = stored(payload="first")

        with pytest.raises(exceptions.HTTPClientError, match="Conflict") as caught:
            barbican.secrets.update(ref, "second")
        assert caught.value.status_code == 409

    @pytest.mark.parametrize("payload", ["", b""], ids=["text", "octets"])
    def test_an_empty_payload_is_refused(self, barbican, payload):
        with pytest.raises(exceptions.PayloadException):
            barbican.secrets.create(payload=payload).store()

    def test_a_blank_payload_is_refused_by_us(self, barbican):
        with pytest.raises(exceptions.HTTPClientError, match="Bad Request") as caught:
            barbican.secrets.create(payload="   ").store()
        assert caught.value.status_code == 400

    def test_an_expiration_is_read_back(self, barbican, stored):
        ref = stored(payload="x", expiration="2099-01-01T00:00:00+00:00")

        assert barbican.secrets.get(ref).expiration.isoformat().startswith("2099-01-01T00:00:00")


class TestRead:
    def test_a_missing_secret_is_a_404(self, barbican, product):
        ref = f"{product.url}/v1/secrets/5d4f0c5e-2f4b-4b1e-9a51-0a8f3c1d2e3f"

        with pytest.raises(exceptions.HTTPClientError) as caught:
            barbican.secrets.get(ref).status  # noqa: B018  # lazy: reading it asks
        assert caught.value.status_code == 404

    def test_another_projects_secret_is_forbidden_by_name(self, stored, product):
        ref = stored(payload="x")

        with pytest.raises(exceptions.HTTPClientError, match="Forbidden") as caught:
            client_of(product).secrets.get(ref).status  # noqa: B018  # lazy: reading it asks
        assert caught.value.status_code == 403

    def test_a_bad_key_is_an_authentication_error(self, product):
        with pytest.raises((exceptions.HTTPAuthError, keystone_exceptions.Unauthorized)):
            client_of(product, "wrong").secrets.list()

    def test_without_a_payload_the_client_says_so(self, barbican, stored):
        assert barbican.secrets.get(stored(name="empty")).payload is None


class TestList:
    def test_pages_and_total(self, barbican, stored):
        for number in range(12):
            stored(name=f"s{number:02}")

        first, second = barbican.secrets.list(limit=10), barbican.secrets.list(limit=10, offset=10)

        assert [secret.name for secret in first + second] == [f"s{number:02}" for number in range(12)]
        assert barbican.secrets.total() == 12

    def test_filters(self, barbican, stored):
        stored(name="one", algorithm="aes", bit_length=256, secret_type="symmetric")
        stored(name="two", algorithm="rsa")

        assert [found.name for found in barbican.secrets.list(name="two")] == ["two"]
        assert [found.name for found in barbican.secrets.list(algorithm="aes", bits=256)] == ["one"]
        assert barbican.secrets.list(created="gt:2090-01-01") == []
        assert [found.name for found in barbican.secrets.list(sort="name:desc")] == ["two", "one"]

    def test_an_empty_list(self, barbican):
        assert barbican.secrets.list() == []
        assert barbican.secrets.total() == 0


class TestDelete:
    def test_a_deleted_secret_is_gone(self, barbican, stored):
        ref = stored(payload="x")
        barbican.secrets.delete(ref)

        with pytest.raises(exceptions.HTTPClientError) as caught:
            barbican.secrets.delete(ref)
        assert caught.value.status_code == 404


class TestConsumers:
    def test_register_list_and_remove(self, barbican, stored):
        ref = stored(payload="x")

        registered = barbican.secrets.register_consumer(ref, **NOVA)
        (listed,) = barbican.secrets.list_consumers(ref)
        barbican.secrets.remove_consumer(ref, **NOVA)

        assert registered.secret_ref == ref
        assert (listed.service, listed.resource_type, listed.resource_id) == tuple(NOVA.values())
        assert barbican.secrets.list_consumers(ref) == []

    def test_a_secret_with_consumers_is_deleted_by_force_only(self, barbican, stored):
        ref = stored(payload="x")
        barbican.secrets.register_consumer(ref, **NOVA)

        with pytest.raises(exceptions.SecretHasConsumers):
            barbican.secrets.delete(ref)
        assert barbican.secrets.get(ref).payload == "x"

        barbican.secrets.delete(ref, force=True)
        assert barbican.secrets.list() == []


class TestOrders:
    def test_an_aes_key_is_made_by_the_worker(self, barbican):
        order = barbican.orders.create_key(name="k", algorithm="aes", bit_length=256, mode="cbc")
        ref = order.submit()

        wait_until(lambda: barbican.orders.get(ref).status == "ACTIVE")

        made = barbican.orders.get(ref)
        key = barbican.secrets.get(made.secret_ref)
        assert len(key.payload) == 32
        assert (key.name, key.algorithm, key.bit_length, key.secret_type) == ("k", "aes", 256, "symmetric")
        assert (made.name, made.error_reason) == ("k", None)

    def test_orders_are_listed_and_deleted(self, barbican):
        refs = [barbican.orders.create_key(algorithm="aes", bit_length=128).submit() for _ in range(3)]

        assert [order.order_ref for order in barbican.orders.list()] == refs
        assert barbican.orders.total() == 3
        barbican.orders.delete(refs[0])
        assert [order.order_ref for order in barbican.orders.list()] == refs[1:]

    def test_what_cannot_be_made_is_a_client_error(self, barbican):
        with pytest.raises(exceptions.HTTPClientError, match="bogus") as caught:
            barbican.orders.create_key(algorithm="bogus", bit_length=256).submit()
        assert caught.value.status_code == 400


class TestDiscovery:
    def test_the_highest_version_is_picked(self, product):
        assert client_of(product).client.microversion == "1.2"

    def test_without_an_override_the_versioned_endpoint_is_asked(self, product):
        auth = token_endpoint.Token(f"{product.url}/v1/", product.key)
        client = barbicanclient.Client(session=session.Session(auth=auth))

        assert client.client.microversion == "1.2"
        assert client.secrets.total() >= 0
