"""The unmodified python-barbicanclient, as castellan, heat and octavia use it, against the whole product.

Source: spec/barbican-api.md §22.1.
"""

import secrets

import pytest
from barbicanclient import client as barbicanclient
from barbicanclient import exceptions
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from keystoneauth1 import exceptions as keystone_exceptions
from keystoneauth1 import session, token_endpoint

from tests.clients import connect
from tests.support.waiting import wait_until

pytestmark = pytest.mark.processes

NOVA = {"service": "nova", "resource_type": "instance", "resource_id": "i-1"}
LOAD_BALANCER = {"name": "octavia", "url": "https://lb.example/1"}
UNKNOWN = "5d4f0c5e-2f4b-4b1e-9a51-0a8f3c1d2e3f"


@pytest.fixture
def barbican(product, key):
    """A client of a project that no other test uses."""
    return connect.barbican(product.url, key)


@pytest.fixture
def stored(barbican):
    """Stores a secret, returns its ref."""

    def store(**fields):
        return barbican.secrets.create(**fields).store()

    return store


def secrets_of(barbican, payloads):
    """Secrets by name, not stored yet."""
    return {name: barbican.secrets.create(payload=payload) for name, payload in payloads.items()}


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
        ref = f"{product.url}/v1/secrets/{UNKNOWN}"

        with pytest.raises(exceptions.HTTPClientError) as caught:
            barbican.secrets.get(ref).status  # noqa: B018  # lazy: reading it asks
        assert caught.value.status_code == 404

    def test_another_projects_secret_is_forbidden_by_name(self, stored, product):
        ref = stored(payload="x")

        with pytest.raises(exceptions.HTTPClientError, match="Forbidden") as caught:
            connect.barbican(product.url, product.key).secrets.get(ref).status  # noqa: B018  # lazy: reading it asks
        assert caught.value.status_code == 403

    def test_a_bad_key_is_an_authentication_error(self, product):
        with pytest.raises((exceptions.HTTPAuthError, keystone_exceptions.Unauthorized)):
            connect.barbican(product.url, "wrong").secrets.list()

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


class TestSecretObject:
    def test_it_stores_updates_and_deletes_itself(self, barbican):
        secret = barbican.secrets.create(name="n")
        secret.store()
        secret.payload = "later"
        secret.update()

        assert barbican.secrets.get(secret.secret_ref).payload == "later"
        secret.delete()
        assert (secret.secret_ref, barbican.secrets.total()) == (None, 0)

    def test_it_shows_all_its_fields(self, barbican, stored):
        secret = barbican.secrets.get(stored(name="n", payload="x", algorithm="aes", bit_length=256))

        shown = secret.to_dict()

        assert (shown["Name"], shown["Status"], shown["Secret type"]) == ("n", "ACTIVE", "opaque")
        assert (shown["Algorithm"], shown["Bit length"]) == ("aes", 256)
        assert shown["Created"]


class TestSecretMetadata:
    def test_set_get_add_and_delete(self, barbican, stored):
        ref = stored(payload="x")

        answer = barbican.secrets.set_secret_metadata(ref, {"Place": "Bonn", "floor": "2"})
        assert answer == {"metadata_ref": f"{ref}/metadata"}
        assert barbican.secrets.get_secret_metadata(ref) == {"metadata": {"place": "Bonn", "floor": "2"}}

        barbican.secrets.add_secret_metadata(ref, "room", "12")
        assert barbican.secrets.get_secret_metadata(ref, "room") == {"key": "room", "value": "12"}

        barbican.secrets.delete_secret_metadata(ref, "Place")
        assert barbican.secrets.get_secret_metadata(ref) == {"metadata": {"floor": "2", "room": "12"}}

    def test_adding_what_is_there_is_a_conflict_and_changes_nothing(self, barbican, stored):
        ref = stored(payload="x")
        barbican.secrets.add_secret_metadata(ref, "room", "12")

        with pytest.raises(exceptions.HTTPClientError, match="Conflict"):
            barbican.secrets.add_secret_metadata(ref, "room", "13")
        assert barbican.secrets.get_secret_metadata(ref, "room")["value"] == "12"

    def test_what_is_not_there_is_not_found(self, barbican, stored):
        with pytest.raises(exceptions.HTTPClientError) as caught:
            barbican.secrets.get_secret_metadata(stored(payload="x"), "room")
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

    def test_the_general_factory_makes_both_kinds(self, barbican):
        order = barbican.orders.create("key", name="k", algorithm="aes", bit_length=256, mode="cbc")
        order.submit()
        pair = barbican.orders.create("asymmetric", name="p", algorithm="ec", bit_length=256)
        pair.submit()

        listed = {order.to_dict()["Type"]: order.name for order in barbican.orders.list()}

        assert listed == {"Key": "k", "Asymmetric": "p"}
        order.delete()
        assert [each.order_ref for each in barbican.orders.list()] == [pair.order_ref]

    def test_a_pair_comes_in_a_container_its_private_key_under_the_pass_phrase(self, barbican):
        order = barbican.orders.create_asymmetric(
            name="p", algorithm="rsa", bit_length=2048, pass_phrase="open sesame"
        )
        order.submit()
        wait_until(lambda: barbican.orders.get(order.order_ref).status == "ACTIVE")

        made = barbican.orders.get(order.order_ref)
        pair = barbican.containers.get(made.container_ref)

        assert made.pass_phrase is None
        assert pair.private_key_passphrase.payload == b"open sesame"
        public = load_pem_public_key(pair.public_key.payload)
        private = load_pem_private_key(pair.private_key.payload, b"open sesame")
        assert private.public_key() == public
        with pytest.raises(TypeError, match="encrypted"):
            load_pem_private_key(pair.private_key.payload, None)

    def test_what_cannot_be_made_is_a_client_error(self, barbican):
        with pytest.raises(exceptions.HTTPClientError, match="bogus") as caught:
            barbican.orders.create_key(algorithm="bogus", bit_length=256).submit()
        assert caught.value.status_code == 400


class TestContainers:
    def test_a_generic_one_stores_the_secrets_it_is_made_of(self, barbican):
        secret = barbican.secrets.create(name="n", payload="x")
        container = barbican.containers.create(name="c", secrets={"a": secret})
        ref = container.store()

        read = barbican.containers.get(ref)

        assert (read.name, read.status, read.consumers) == ("c", "ACTIVE", [])
        assert read.secret_refs == {"a": secret.secret_ref}
        assert read.secrets["a"].payload == "x"
        assert container.to_dict()["Secrets"] == read.to_dict()["Secrets"] == f"a={secret.secret_ref}"

    def test_secrets_are_added_and_removed_before_it_is_stored(self, barbican):
        container = barbican.containers.create(name="c")
        for name in ("a", "b"):
            container.add(name, barbican.secrets.create(payload=name))
        container.remove("b")

        ref = container.store()

        assert [*barbican.containers.get(ref).secrets] == ["a"]
        assert barbican.secrets.total() == 1

    def test_an_rsa_one(self, barbican):
        parts = {name: name for name in ("public_key", "private_key", "private_key_passphrase")}
        ref = barbican.containers.create_rsa(name="pair", **secrets_of(barbican, parts)).store()

        read = barbican.containers.get(ref)

        assert {name: getattr(read, name).payload for name in parts} == parts
        assert read.to_dict()["Type"] == "rsa"

    def test_a_certificate_one(self, barbican):
        parts = {
            name: name for name in ("certificate", "private_key", "private_key_passphrase", "intermediates")
        }
        ref = barbican.containers.create_certificate(name="tls", **secrets_of(barbican, parts)).store()

        read = barbican.containers.get(ref)

        assert {name: getattr(read, name).payload for name in parts} == parts
        assert read.to_dict()["Type"] == "certificate"

    def test_pages_total_and_filters(self, barbican):
        made = [barbican.containers.create(name=name).store() for name in ("a", "b", "b")]
        made.append(barbican.containers.create_rsa(name="b").store())

        first, rest = barbican.containers.list(limit=3), barbican.containers.list(limit=3, offset=3)

        assert [found.container_ref for found in first + rest] == made
        assert barbican.containers.total() == 4
        assert [found.container_ref for found in barbican.containers.list(name="b")] == made[1:]
        assert [found.container_ref for found in barbican.containers.list(name="b", type="rsa")] == made[3:]

    def test_what_is_deleted_is_gone_and_its_secrets_stay(self, barbican):
        container = barbican.containers.create(secrets={"a": barbican.secrets.create(payload="x")})
        container.store()
        other = barbican.containers.create(name="other").store()

        container.delete()
        barbican.containers.delete(other)

        assert (barbican.containers.total(), barbican.secrets.total()) == (0, 1)
        with pytest.raises(exceptions.HTTPClientError, match="Not Found"):
            barbican.containers.get(other)

    def test_consumers_are_registered_once_and_removed(self, barbican):
        ref = barbican.containers.create(name="c").store()
        wanted = {"name": LOAD_BALANCER["name"], "URL": LOAD_BALANCER["url"]}

        for _ in range(2):
            assert barbican.containers.register_consumer(ref, **LOAD_BALANCER).consumers == [wanted]
        assert barbican.containers.get(ref).consumers == [wanted]
        barbican.containers.remove_consumer(ref, **LOAD_BALANCER)

        assert barbican.containers.get(ref).consumers == []
        with pytest.raises(exceptions.HTTPClientError, match="Not Found"):
            barbican.containers.remove_consumer(ref, **LOAD_BALANCER)

    def test_a_typed_one_that_lacks_a_part_is_refused(self, barbican):
        half = barbican.containers.create_rsa(public_key=barbican.secrets.create(payload="x"))

        with pytest.raises(exceptions.HTTPClientError, match="private_key") as caught:
            half.store()
        assert caught.value.status_code == 400


@pytest.fixture(params=["secrets", "containers"])
def guarded(request, barbican):
    """The ref of something that has an ACL."""
    return getattr(barbican, request.param).create(name="guarded").store()


class TestACLs:
    def test_without_one_the_project_has_access(self, barbican, guarded):
        acl = barbican.acls.get(guarded)

        assert (acl.read.project_access, acl.read.users, acl.read.created) == (True, [], None)

    def test_create_submit_and_load(self, barbican, guarded):
        acl = barbican.acls.create(guarded, users=["ann", "ben"], project_access=False)

        assert acl.submit() == f"{guarded}/acl"

        acl.load_acls_data()
        assert (acl.read.project_access, sorted(acl.read.users)) == (False, ["ann", "ben"])
        assert acl.get("read").created
        assert acl.read.to_dict()["Operation Type"] == "read"

    def test_an_operation_is_replaced_as_a_whole(self, barbican, guarded):
        barbican.acls.create(guarded, users=["ann"], project_access=False).submit()
        acl = barbican.acls.get(guarded)

        acl.add_operation_acl(users=["ben"], operation_type="read")
        acl.submit()

        read = barbican.acls.get(guarded).read
        assert (read.project_access, read.users) == (True, ["ben"])

    def test_users_are_edited_in_place(self, barbican, guarded):
        barbican.acls.create(guarded, users=["ann", "ben"], project_access=False).submit()
        acl = barbican.acls.get(guarded)

        acl.read.users.remove("ann")
        acl.read.users.append("cem")
        acl.submit()

        read = barbican.acls.get(guarded).read
        assert (read.project_access, sorted(read.users)) == (False, ["ben", "cem"])

    @pytest.mark.parametrize("form", ["whole", "its only operation"])
    def test_remove_brings_the_default_back(self, barbican, guarded, form):
        acl = barbican.acls.create(guarded, users=["ann"], project_access=False)
        acl.submit()

        if form == "whole":
            acl.remove()
        else:
            acl.read.remove()

        read = barbican.acls.get(guarded).read
        assert (read.project_access, read.users) == (True, [])

    def test_an_id_will_do_where_the_kind_is_said(self, barbican, stored):
        ref = stored(payload="x")
        secret_id = ref.rpartition("/")[2]

        acl = barbican.acls.create(secret_id, users=["ann"], ref_type="secret")
        acl.submit()

        assert barbican.acls.get(secret_id, ref_type="secret").read.users == ["ann"]
        assert barbican.secrets.get(ref).acls.read.users == ["ann"]

    def test_other_operations_are_refused(self, barbican, guarded):
        with pytest.raises(exceptions.HTTPClientError, match="only read") as caught:
            barbican.acls.create(guarded, users=["ann"], operation_type="write").submit()
        assert caught.value.status_code == 400

    def test_there_is_no_list_to_count(self, barbican):
        with pytest.raises(exceptions.HTTPClientError, match="Not Found"):
            barbican.acls.total()


class TestCAs:
    def test_there_are_none_as_with_current_barbican(self, barbican):
        with pytest.raises(exceptions.HTTPClientError, match="Not Found"):
            barbican.cas.list()
        with pytest.raises(exceptions.HTTPClientError, match="Not Found"):
            barbican.cas.total()
        ca = barbican.cas.get(UNKNOWN)
        with pytest.raises(exceptions.HTTPClientError, match="Not Found"):
            ca.to_dict()


class TestDiscovery:
    def test_the_highest_version_is_picked(self, product):
        assert connect.barbican(product.url, product.key).client.microversion == "1.2"

    def test_without_an_override_the_versioned_endpoint_is_asked(self, product):
        auth = token_endpoint.Token(f"{product.url}/v1/", product.key)
        client = barbicanclient.Client(session=session.Session(auth=auth))

        assert client.client.microversion == "1.2"
        assert client.secrets.total() >= 0
