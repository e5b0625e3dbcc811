"""The unmodified openstacksdk, as users and magnum write it, against the whole product.

Source: spec/barbican-api.md §22.3.
"""

import pytest
from openstack import exceptions

from tests.clients import connect
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.processes,
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning"),  # the SDK about itself
]

UNKNOWN = "5d4f0c5e-2f4b-4b1e-9a51-0a8f3c1d2e3f"
NOVA = {"service": "nova", "resource_type": "instance", "resource_id": "i-1"}
KEY_ORDER = {"type": "key", "meta": {"name": "k", "algorithm": "aes", "bit_length": 256}}


@pytest.fixture
def connected(product):
    """Makes a proxy of the key manager for the owner of an API key."""
    connections = []

    def connected(key):
        connections.append(connect.sdk(product.url, key))
        return connections[-1].key_manager

    yield connected
    for connection in connections:
        connection.close()


@pytest.fixture
def sdk(connected, key):
    """The key manager of a project that no other test uses."""
    return connected(key)


@pytest.fixture
def secret(sdk):
    """A stored text, as the SDK's object."""
    return sdk.create_secret(name="n", payload="hello", payload_content_type="text/plain")


@pytest.fixture
def container(sdk, secret):
    """A container of that secret, as the SDK's object."""
    refs = [{"name": "a", "secret_ref": secret.secret_ref}]
    return sdk.create_container(name="c", type="generic", secret_refs=refs)


@pytest.fixture
def seven(sdk):
    """Names of seven secrets."""
    return [sdk.create_secret(name=f"s{number}").name for number in range(7)]


class TestSecrets:
    def test_a_text_comes_back(self, sdk, secret):
        read = sdk.get_secret(secret.secret_id)

        assert (read.name, read.payload, read.secret_type, read.status) == ("n", "hello", "opaque", "ACTIVE")

    def test_bytes_come_back(self, sdk):
        made = sdk.create_secret(
            payload="AP8=",
            payload_content_type="application/octet-stream",
            payload_content_encoding="base64",
            algorithm="aes",
            bit_length=16,
        )

        read = sdk.get_secret(made.secret_id)
        assert (read.payload, read.algorithm, read.bit_length) == (b"\x00\xff", "aes", 16)

    def test_the_object_will_do_for_an_id(self, sdk, secret):
        assert sdk.get_secret(secret).payload == "hello"

    def test_the_ref_will_do_for_an_id(self, sdk, secret):
        assert sdk.get_secret(secret.secret_ref).payload == "hello"

    def test_it_is_found_by_its_id(self, sdk, secret):
        assert sdk.find_secret(secret.secret_id, ignore_missing=False).secret_ref == secret.secret_ref

    @pytest.mark.parametrize("form", ["id", "object", "listed"])
    def test_delete(self, sdk, secret, form):
        (listed,) = sdk.secrets()
        sdk.delete_secret(
            {"id": secret.secret_id, "object": secret, "listed": listed}[form], ignore_missing=False
        )

        assert [*sdk.secrets()] == []

    def test_it_is_never_renamed(self, sdk, secret):
        """The SDK sends the change as JSON; only a payload may be put."""
        with pytest.raises(exceptions.HttpException) as caught:
            sdk.update_secret(secret.secret_id, name="other")

        assert caught.value.status_code == 415
        assert sdk.get_secret(secret).name == "n"

    def test_it_stays_in_its_store(self, sdk, secret):
        """The SDK asks for a newer microversion than Barbican's releases speak, and ends there."""
        (store,) = sdk.secret_stores()

        with pytest.raises(exceptions.SDKException, match="microversion"):
            sdk.migrate_secret_store(secret, store)

    def test_what_is_missing_is_not_found(self, sdk):
        with pytest.raises(exceptions.NotFoundException):
            sdk.delete_secret(UNKNOWN, ignore_missing=False)

    def test_what_is_refused_is_a_bad_request_and_its_answer_says_why(self, sdk):
        with pytest.raises(exceptions.BadRequestException) as caught:
            sdk.create_secret(payload="x")
        assert "payload_content_type" in caught.value.response.json()["description"]


class TestLists:
    @pytest.mark.parametrize("limit", [1, 3, 7, 100])
    def test_a_limit_ends_with_all_of_them(self, sdk, seven, limit):
        assert [secret.name for secret in sdk.secrets(limit=limit)] == seven

    def test_with_a_filter_and_a_sort(self, sdk, seven, secret):
        assert [found.name for found in sdk.secrets(limit=2, name="s%", sort="name:desc")] == seven[::-1]

    def test_next_is_followed(self, sdk, seven):
        for number in range(5):
            sdk.create_secret(name=f"t{number}")

        assert len([*sdk.secrets()]) == 12

    def test_containers_and_orders_with_a_limit(self, sdk):
        for _ in range(3):
            sdk.create_container(name="c", type="generic")
            sdk.create_order(**KEY_ORDER)

        assert len([*sdk.containers(limit=2)]) == 3
        assert len([*sdk.orders(limit=3)]) == 3

    def test_what_is_refused_is_a_bad_request(self, sdk):
        with pytest.raises(exceptions.BadRequestException):
            [*sdk.secrets(sort="foo")]


class TestContainers:
    @pytest.mark.parametrize("form", ["id", "object"])
    def test_read_and_delete(self, sdk, container, secret, form):
        wanted = container if form == "object" else container.container_id

        read = sdk.get_container(wanted)
        sdk.delete_container(wanted, ignore_missing=False)

        assert (read.name, read.type, read.status) == ("c", "generic", "ACTIVE")
        assert read.secret_refs == [{"name": "a", "secret_ref": secret.secret_ref}]
        assert [*sdk.containers()] == []
        assert sdk.get_secret(secret).payload == "hello"

    def test_it_is_found_by_name_and_by_id(self, sdk, container):
        assert sdk.find_container("c", ignore_missing=False).container_ref == container.container_ref
        assert sdk.find_container(container.container_id, ignore_missing=False).name == "c"

    @pytest.mark.parametrize("name", ["a b", "ü", "x%2Fy", "a?b=c", "http://x/v1/containers/y"])
    def test_a_strange_name_is_just_not_found(self, sdk, container, name):
        with pytest.raises(exceptions.NotFoundException):
            sdk.find_container(name, ignore_missing=False)

    def test_it_is_never_renamed(self, sdk, container):
        with pytest.raises(exceptions.HttpException) as caught:
            sdk.update_container(container.container_id, name="other")

        assert caught.value.status_code == 405
        assert sdk.get_container(container).name == "c"

    def test_waiting_for_its_end(self, sdk, container):
        """Of secrets the SDK never sees it: it takes the 404 for one more state of theirs."""
        sdk.delete_container(container)

        assert sdk.wait_for_delete(container, interval=0.05, wait=30) is container

    def test_acl(self, sdk, container):
        sdk.create_container_acl(container, read={"users": ["u8"], "project-access": False})
        sdk.update_container_acl(container, read={"users": ["u9"]})

        read = sdk.get_container_acl(container).read
        assert (read["users"], read["project-access"]) == (["u9"], False)
        sdk.delete_container_acl(container)
        assert sdk.get_container_acl(container).read == {"project-access": True}


class TestOrders:
    @pytest.mark.parametrize("form", ["id", "object"])
    def test_an_aes_key_is_made_by_the_worker(self, sdk, form):
        order = sdk.create_order(**KEY_ORDER)
        wanted = order if form == "object" else order.order_id

        wait_until(lambda: sdk.get_order(wanted).status == "ACTIVE")

        key = sdk.get_secret(sdk.get_order(wanted).secret_id)
        assert (key.name, len(key.payload)) == ("k", 32)
        sdk.delete_order(wanted, ignore_missing=False)
        assert [*sdk.orders()] == []
        assert len([*sdk.secrets()]) == 1

    def test_waiting_until_it_is_active(self, sdk):
        order = sdk.create_order(**KEY_ORDER)

        done = sdk.wait_for_status(order, "ACTIVE", interval=0.05, wait=30)

        assert len(sdk.get_secret(done.secret_id).payload) == 32

    def test_it_is_found_by_its_id(self, sdk):
        order = sdk.create_order(**KEY_ORDER)

        assert sdk.find_order(order.order_id, ignore_missing=False).order_ref == order.order_ref
        with pytest.raises(exceptions.NotFoundException):
            sdk.find_order(UNKNOWN, ignore_missing=False)

    def test_it_is_never_changed(self, sdk):
        order = sdk.create_order(**KEY_ORDER)

        with pytest.raises(exceptions.HttpException) as caught:
            sdk.update_order(order.order_id, meta={})
        assert caught.value.status_code == 405


class TestBelowASecret:
    def test_acl(self, sdk, secret):
        made = sdk.set_secret_acl(secret, read={"users": ["u9"], "project-access": False})

        read = sdk.get_secret_acl(secret).read
        assert made.acl_ref == f"{secret.secret_ref}/acl"
        assert (read["users"], read["project-access"]) == (["u9"], False)
        sdk.delete_secret_acl(secret, ignore_missing=False)
        assert sdk.get_secret_acl(secret.secret_id).read == {"project-access": True}

    def test_an_acl_is_updated_as_a_whole(self, sdk, secret):
        """The SDK documents PATCH and sends PUT: what is not named goes back to its default."""
        sdk.set_secret_acl(secret, read={"users": ["u9"], "project-access": False})

        made = sdk.update_secret_acl(secret, read={"users": ["u8"]})

        read = sdk.get_secret_acl(secret).read
        assert made.acl_ref == f"{secret.secret_ref}/acl"
        assert (read["users"], read["project-access"]) == (["u8"], True)

    def test_consumers(self, sdk, secret):
        sdk.create_secret_consumer(secret, **NOVA)

        (consumer,) = sdk.secret_consumers(secret)
        assert (consumer.service, consumer.resource_type, consumer.resource_id) == tuple(NOVA.values())
        with pytest.raises(exceptions.BadRequestException):
            sdk.delete_secret(secret)
        sdk.delete_secret_consumer(secret, ignore_missing=False, **NOVA)
        assert [*sdk.secret_consumers(secret)] == []


class TestQuotas:
    def test_what_holds(self, sdk):
        quota = sdk.get_quota()

        assert {quota.secrets, quota.orders, quota.containers, quota.consumers, quota.cas} == {-1}

    def test_of_a_project(self, connected, product):
        admin = connected(product.make_key(project="service", user="root", roles=["admin"]))
        admin.update_project_quota("p9", secrets=3)

        quota = admin.get_project_quota("p9")
        assert (quota.secrets, quota.orders) == (3, None)
        admin.delete_project_quota("p9", ignore_missing=False)
        with pytest.raises(exceptions.NotFoundException):
            admin.get_project_quota("p9")

    def test_of_a_project_is_not_for_members(self, sdk):
        with pytest.raises(exceptions.ForbiddenException):
            sdk.update_project_quota("p9", secrets=3)


class TestSecretStores:
    def test_there_is_one(self, sdk):
        (store,) = sdk.secret_stores()

        assert (store.status, store.global_default) == ("ACTIVE", True)
        assert sdk.get_global_default_secret_store().id == store.secret_store_id

    def test_none_is_preferred(self, sdk):
        with pytest.raises(exceptions.NotFoundException):
            sdk.get_preferred_secret_store()
