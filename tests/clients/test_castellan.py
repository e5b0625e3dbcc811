"""The unmodified castellan, through which nova, cinder, glance and swift come, against the whole product.

Source: spec/barbican-api.md §22.2.
"""

from datetime import UTC, datetime, timedelta

import pytest
from castellan.common import exception
from castellan.common.objects.opaque_data import OpaqueData
from castellan.common.objects.passphrase import Passphrase
from castellan.common.objects.private_key import PrivateKey
from castellan.common.objects.public_key import PublicKey
from castellan.common.objects.symmetric_key import SymmetricKey
from castellan.common.objects.x_509 import X509
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

from tests.clients import connect

pytestmark = pytest.mark.processes

NOVA = {"service": "nova", "resource_type": "instance", "resource_id": "i-1"}
UNKNOWN = "5d4f0c5e-2f4b-4b1e-9a51-0a8f3c1d2e3f"


@pytest.fixture(scope="module")
def castellan(product):
    """A key manager whose configuration names the endpoint."""
    return connect.castellan(product.url)


@pytest.fixture
def context(product, key):
    """The context of a user of a project that no other test uses."""
    return connect.Context(product.url, key)


def _objects():
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
    now = datetime.now(UTC)
    certificate = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1)).sign(
        key, SHA256()
    )
    private = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return {
        "symmetric": SymmetricKey("aes", 256, bytes(range(32)), name="symmetric"),
        "private": PrivateKey("rsa", 2048, private, name="private"),
        "public": PublicKey("rsa", 2048, public, name="public"),
        "certificate": X509(certificate.public_bytes(Encoding.DER), name="certificate"),
        "passphrase": Passphrase("pässword ".encode(), name="passphrase"),
        "opaque": OpaqueData(b"\x00\xff", name="opaque"),
    }


OBJECTS = _objects()


class TestCreate:
    @pytest.mark.parametrize("bits", [128, 256, 512])
    def test_a_key(self, castellan, context, bits):
        key = castellan.get(context, castellan.create_key(context, "aes", bits))

        assert isinstance(key, SymmetricKey)
        assert (key.algorithm, key.bit_length, len(key.get_encoded())) == ("aes", bits, bits // 8)

    def test_a_key_with_name_and_expiration(self, castellan, context):
        made = castellan.create_key(context, "aes", 256, expiration="2099-01-01T00:00:00", name="luks")

        assert castellan.get(context, made).name == "luks"

    def test_a_key_pair_outlives_its_container(self, castellan, context):
        private_id, public_id = castellan.create_key_pair(context, "rsa", 2048)

        private, public = castellan.get(context, private_id), castellan.get(context, public_id)
        assert (type(private), type(public)) == (PrivateKey, PublicKey)
        assert load_der_private_key(private.get_encoded(), None).public_key() == load_der_public_key(
            public.get_encoded()
        )

    def test_what_cannot_be_made_is_an_error_that_says_why(self, castellan, context):
        with pytest.raises(exception.KeyManagerError, match="bogus"):
            castellan.create_key(context, "bogus", 256)


class TestStore:
    @pytest.mark.parametrize("kind", OBJECTS)
    def test_each_type_comes_back_equal(self, castellan, context, kind):
        wanted = OBJECTS[kind]
        stored = castellan.store(context, wanted)

        read = castellan.get(context, stored)

        assert type(read) is type(wanted)
        assert read == wanted
        assert (read.id, read.name) == (stored, kind)
        assert abs(read.created - datetime.now(UTC).timestamp()) < 60

    def test_metadata_alone(self, castellan, context):
        stored = castellan.store(context, OBJECTS["passphrase"])

        read = castellan.get(context, stored, metadata_only=True)
        assert (read.get_encoded(), read.name) == (None, "passphrase")

    @pytest.mark.parametrize("kind", OBJECTS)
    def test_what_is_deleted_is_not_found(self, castellan, context, kind):
        stored = castellan.store(context, OBJECTS[kind])
        castellan.delete(context, stored)

        with pytest.raises(exception.ManagedObjectNotFoundError):
            castellan.get(context, stored)
        with pytest.raises(exception.ManagedObjectNotFoundError):
            castellan.delete(context, stored)

    def test_another_projects_is_forbidden_and_never_not_found(self, castellan, context, product):
        """Cinder takes "not found" for "deleted", and nova looks for the word."""
        stored = castellan.store(context, OBJECTS["passphrase"])
        stranger = connect.Context(product.url, product.key)

        for act in (castellan.get, castellan.delete):
            with pytest.raises(exception.KeyManagerError, match="Forbidden") as caught:
                act(stranger, stored)
            assert not isinstance(caught.value, exception.ManagedObjectNotFoundError)


class TestList:
    def test_all_and_by_type(self, castellan, context):
        for wanted in OBJECTS.values():
            castellan.store(context, wanted)

        assert [found.name for found in castellan.list(context)] == [*OBJECTS]
        for wanted in OBJECTS.values():
            assert castellan.list(context, type(wanted)) == [wanted]
        assert castellan.list(context, Passphrase, metadata_only=True)[0].get_encoded() is None

    def test_nothing(self, castellan, context):
        assert castellan.list(context) == []


class TestConsumers:
    def test_add_and_remove(self, castellan, context):
        stored = castellan.store(context, OBJECTS["passphrase"])

        castellan.add_consumer(context, stored, NOVA)
        assert castellan.get(context, stored).consumers == [NOVA]
        castellan.remove_consumer(context, stored, NOVA)
        assert castellan.get(context, stored).consumers == []

    def test_a_consumed_secret_is_deleted_by_force_only(self, castellan, context):
        stored = castellan.store(context, OBJECTS["passphrase"])
        castellan.add_consumer(context, stored, NOVA)

        with pytest.raises(exception.KeyManagerError, match="consumers"):
            castellan.delete(context, stored)
        castellan.delete(context, stored, force=True)

        assert castellan.list(context) == []

    def test_of_nothing(self, castellan, context):
        with pytest.raises(exception.ManagedObjectNotFoundError):
            castellan.add_consumer(context, UNKNOWN, NOVA)
