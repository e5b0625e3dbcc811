"""What OpenStack's services do with a key manager, call by call, through the clients they use.

The libraries are the unmodified ones; the sequences are those of the services named.
Source: spec/barbican-api.md §22.2, 22.3, 22.6 to 22.8.
"""

import urllib.request
from binascii import hexlify
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from barbicanclient import exceptions
from castellan.common import exception
from castellan.common.objects.passphrase import Passphrase
from castellan.common.objects.symmetric_key import SymmetricKey
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import NoEncryption, pkcs12

from tests.clients import connect
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.processes,
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning"),  # the SDK about itself
]

UNKNOWN = "5d4f0c5e-2f4b-4b1e-9a51-0a8f3c1d2e3f"
PEOPLE = {
    "ann": ("red", ["member"]),  # a user; what follows is hers
    "rob": ("red", ["reader"]),
    "mia": ("red", ["member"]),
    "ben": ("blue", ["member"]),
    "octavia": ("service", ["service"]),  # a role that no rule names
    "manila": ("service", ["service"]),
    "cinder": ("service", ["admin", "member"]),
    "cindy": ("service", ["member"]),  # of cinder's project
    "magnum": ("clusters", ["admin", "member"]),
}
PEM = {name: f"-----BEGIN {name}-----\n" for name in ("certificate", "private_key", "intermediates")}
AES_256 = bytes(range(32))
LISTENER = {"name": "Octavia", "url": "octavia://listener/1"}


@pytest.fixture(scope="module")
def people(make_keys):
    """API keys by name."""
    wanted = [(project, name, roles) for name, (project, roles) in PEOPLE.items()]
    return dict(zip(PEOPLE, make_keys(wanted), strict=True))


@pytest.fixture(scope="module")
def barbican(product, people):
    """python-barbicanclient, by name; its endpoint is the unversioned one of a catalog."""
    return SimpleNamespace(**{name: connect.barbican(product.url, key) for name, key in people.items()})


@pytest.fixture(scope="module")
def castellan(product):
    """Castellan's key manager, which serves every context."""
    return connect.castellan(product.url)


@pytest.fixture(scope="module")
def context(product, people):
    """The contexts of requests, by the name of who sent them."""
    return SimpleNamespace(**{name: connect.Context(product.url, key) for name, key in people.items()})


def id_of(ref):
    return ref.rpartition("/")[2]


@pytest.fixture(scope="module")
def pkcs12_file():
    """A key and its certificate, as users upload them."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "www")])
    unsigned = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    certificate = unsigned.sign(key, SHA256())
    return pkcs12.serialize_key_and_certificates(b"www", key, certificate, None, NoEncryption())


class TestOctavia:
    """Reads a user's TLS certificate with its own user, of another project and without a role that counts."""

    @staticmethod
    def _open(user, ref):
        """Append the service's user to the readers, as the user."""
        acl = user.acls.get(ref)
        if "octavia" not in acl.get("read").users:
            acl.get("read").users.append("octavia")
            acl.submit()

    @staticmethod
    def _shut(user, ref):
        acl = user.acls.get(ref)
        acl.get("read").users.remove("octavia")
        acl.submit()

    @pytest.fixture
    def bundle(self, barbican, pkcs12_file):
        """The ref of a PKCS#12 file in one secret."""
        return barbican.ann.secrets.create(name="tls", payload=pkcs12_file).store()

    @pytest.fixture
    def container(self, barbican):
        """The ref of a certificate container, as older users made them."""
        secrets = {name: barbican.ann.secrets.create(payload=text) for name, text in PEM.items()}
        return barbican.ann.containers.create_certificate(name="tls", **secrets).store()

    def test_a_bundle_is_read_while_the_user_lets_it(self, barbican, bundle, pkcs12_file):
        with pytest.raises(exceptions.HTTPClientError, match="Forbidden"):
            barbican.octavia.secrets.get(bundle).payload  # noqa: B018  # lazy: reading it asks

        self._open(barbican.ann, bundle)
        read = barbican.octavia.secrets.get(bundle).payload
        assert read == pkcs12_file
        assert pkcs12.load_pkcs12(read, None).key

        self._shut(barbican.ann, bundle)
        with pytest.raises(exceptions.HTTPClientError, match="Forbidden"):
            barbican.octavia.secrets.get(bundle).payload  # noqa: B018  # lazy: reading it asks

    @pytest.mark.parametrize("project_access", [True, False])
    def test_what_the_user_has_set_stays(self, barbican, bundle, project_access):
        barbican.ann.acls.create(bundle, users=["ben"], project_access=project_access).submit()

        for change, users in ((self._open, ["ben", "octavia"]), (self._shut, ["ben"])):
            change(barbican.ann, bundle)

            read = barbican.ann.acls.get(bundle).read
            assert (read.project_access, sorted(read.users)) == (project_access, users)

    def test_a_secret_is_cleanly_not_a_container(self, barbican, bundle):
        for role in (barbican.octavia, barbican.ann):
            with pytest.raises(exceptions.HTTPClientError) as caught:
                role.containers.get(bundle)
            assert caught.value.status_code == 404

    def test_a_container_is_used_until_it_is_released(self, barbican, container):
        user, service = barbican.ann, barbican.octavia
        self._open(user, container)
        parts = service.containers.get(container).secret_refs
        for ref in parts.values():
            self._open(user, ref)

        with pytest.raises(exceptions.HTTPClientError, match="Not Found"):
            service.secrets.get(container).payload  # noqa: B018  # lazy; tried before it is taken for a container
        used = service.containers.register_consumer(container, **LISTENER)

        assert {name: getattr(used, name).payload for name in PEM} == PEM
        assert user.containers.get(container).consumers == [
            {"name": "Octavia", "URL": "octavia://listener/1"}
        ]

        service.containers.remove_consumer(container, **LISTENER)
        for ref in (container, *parts.values()):
            self._shut(user, ref)

        assert user.containers.get(container).consumers == []
        with pytest.raises(exceptions.HTTPClientError, match="Forbidden"):
            service.containers.get(container)
        with pytest.raises(exceptions.HTTPClientError, match="Forbidden"):
            service.containers.register_consumer(container, **LISTENER)

    def test_a_containers_acl_does_not_open_its_secrets(self, barbican, container):
        self._open(barbican.ann, container)

        used = barbican.octavia.containers.register_consumer(container, **LISTENER)

        with pytest.raises(exceptions.HTTPClientError, match="Forbidden"):
            used.certificate.payload  # noqa: B018  # lazy: reading it asks


class TestHeat:
    """Makes each resource, waits for ``ACTIVE``, resolves its attributes, takes a missing one for deleted."""

    @staticmethod
    def _is_deleted(delete, ref):
        try:
            delete(ref)
        except exceptions.HTTPClientError as error:
            return "Not Found" in str(error)
        return False

    def test_a_secret(self, barbican):
        heat = barbican.ann.secrets
        properties = {"name": "s", "payload": "x", "payload_content_type": "text/plain", "algorithm": "aes"}

        ref = heat.create(**properties).store()

        secret = heat.get(ref)
        assert (secret.status, secret.payload, secret.secret_ref) == ("ACTIVE", "x", ref)
        heat.delete(ref)
        assert self._is_deleted(heat.delete, ref)

    def test_an_order_of_a_key(self, barbican):
        heat = barbican.ann
        wanted = {"type": "key", "name": "k", "algorithm": "aes", "bit_length": 256, "mode": "cbc"}
        ref = heat.orders.create(**wanted, payload_content_type="application/octet-stream").submit()

        wait_until(lambda: heat.orders.get(ref).status == "ACTIVE")

        assert len(heat.secrets.get(heat.orders.get(ref).secret_ref).payload) == 32
        heat.orders.delete(ref)
        assert self._is_deleted(heat.orders.delete, ref)

    def test_an_order_of_a_pair(self, barbican):
        heat = barbican.ann
        wanted = {"type": "asymmetric", "name": "p", "algorithm": "rsa", "bit_length": 2048}
        ref = heat.orders.create(**wanted, pass_phrase="open sesame").submit()

        wait_until(lambda: heat.orders.get(ref).status == "ACTIVE")

        container = heat.containers.get(heat.orders.get(ref).container_ref)
        assert b"BEGIN PUBLIC KEY" in container.public_key.payload
        assert b"BEGIN ENCRYPTED PRIVATE KEY" in container.private_key.payload

    def test_an_order_that_cannot_be_made_says_why(self, barbican):
        order = barbican.ann.orders.create(type="key", algorithm="aes", bit_length=255)

        with pytest.raises(exceptions.HTTPClientError, match="bit_length"):
            order.submit()

    @pytest.mark.parametrize("kind", ["create", "create_certificate", "create_rsa"])
    def test_a_container_of_each_kind(self, barbican, kind):
        heat = barbican.ann
        names = {
            "create": ["any", "other"],
            "create_rsa": ["public_key", "private_key"],
            "create_certificate": ["certificate", "private_key"],
        }[kind]
        # Refs among a resource's properties are checked by fetching them.
        refs = [heat.secrets.create(payload=name).store() for name in names]
        secrets = {name: heat.secrets.get(ref) for name, ref in zip(names, refs, strict=True)}
        assert [secret.to_dict()["Status"] for secret in secrets.values()] == ["ACTIVE", "ACTIVE"]
        parts = {"secrets": secrets} if kind == "create" else secrets

        ref = getattr(heat.containers, kind)(name="c", **parts).store()

        made = heat.containers.get(ref)
        assert (made.status, list(made.secret_refs.values()), made.consumers) == ("ACTIVE", refs, [])
        heat.containers.delete(ref)
        assert self._is_deleted(heat.containers.delete, ref)

    @pytest.mark.parametrize("kind", ["secrets", "containers", "orders"])
    def test_a_ref_to_nothing_is_not_found(self, barbican, product, kind):
        ref = f"{product.url}/v1/{kind}/{UNKNOWN}"

        with pytest.raises(exceptions.HTTPClientError, match="Not Found"):
            getattr(barbican.ann, kind).get(ref).to_dict()


class TestMagnum:
    """Keeps a cluster's certificates through openstacksdk, addressed by the last segments of refs."""

    @pytest.fixture
    def magnum(self, product, people):
        connection = connect.sdk(product.url, people["magnum"])
        yield connection.key_manager
        connection.close()

    def test_a_clusters_certificate_from_first_to_last(self, magnum):
        parts = PEM | {"private_key_passphrase": "open sesame"}
        refs = [
            {
                "name": name,
                "secret_ref": magnum.create_secret(
                    payload=text, payload_content_type="text/plain", name=name
                ).secret_ref,
            }
            for name, text in parts.items()
        ]
        made = magnum.create_container(name="Magnum TLS Cert", type="certificate", secret_refs=refs)

        container = magnum.get_container(id_of(made.container_ref))
        assert container.type == "certificate"
        read = {place["name"]: id_of(place["secret_ref"]) for place in container.secret_refs}
        assert {name: magnum.get_secret(secret).payload for name, secret in read.items()} == parts

        for secret in read.values():
            magnum.delete_secret(secret, ignore_missing=False)
        assert magnum.get_container(container.container_id).secret_refs == []
        magnum.delete_container(container.container_id, ignore_missing=False)

        assert [*magnum.containers()] == [*magnum.secrets()] == []


class TestCinder:
    """Gives each encrypted volume a key of its own, with the user's token."""

    @pytest.mark.parametrize("bits", [256, 512], ids=["cbc", "xts"])
    def test_a_volume_and_its_clone(self, castellan, context, bits):
        volume = castellan.create_key(context.ann, algorithm="aes", length=bits)

        clone = castellan.store(context.ann, castellan.get(context.ann, volume))

        first, second = castellan.get(context.ann, volume), castellan.get(context.ann, clone)
        assert (clone != volume, first.get_encoded() == second.get_encoded()) == (True, True)
        assert (second.algorithm, second.bit_length) == ("aes", bits)
        castellan.delete(context.ann, volume)
        assert castellan.get(context.ann, clone) == first

    def test_a_transfer_to_another_project(self, castellan, context):
        volume = castellan.create_key(context.ann, algorithm="aes", length=256)
        key = castellan.get(context.ann, volume)

        transferred = castellan.store(context.ben, key)
        castellan.delete(context.ann, volume)

        assert castellan.get(context.ben, transferred).get_encoded() == key.get_encoded()
        with pytest.raises(exception.KeyManagerError, match="Forbidden"):
            castellan.get(context.ann, transferred)

    def test_what_a_user_may_not_delete_the_service_does_from_its_own_project(self, castellan, context):
        volume = castellan.create_key(context.ann, algorithm="aes", length=256)
        with pytest.raises(exception.KeyManagerError, match="Forbidden") as refused:
            castellan.delete(context.rob, volume)
        assert not isinstance(refused.value, exception.ManagedObjectNotFoundError)
        with pytest.raises(exception.KeyManagerError, match="Forbidden"):
            castellan.get(context.cinder, volume)  # of the key itself it sees nothing
        assert castellan.get(context.cinder, volume, metadata_only=True).algorithm == "aes"

        castellan.delete(context.cinder, volume)

        with pytest.raises(exception.ManagedObjectNotFoundError):
            castellan.get(context.ann, volume)

    def test_the_fixed_key_of_old_is_migrated_for_the_volumes_owner(self, barbican, castellan, context):
        secret = barbican.cinder.secrets.create(
            algorithm="AES", bit_length=256, secret_type="symmetric", mode=None, payload=AES_256
        )
        ref = secret.store()
        barbican.cinder.acls.create(entity_ref=ref, users=["ann"]).submit()

        # Cindy reads it since an ACL without a word on project access leaves that open.
        for reader in (context.ann, context.cindy, context.cinder):
            key = castellan.get(reader, id_of(ref))
            assert isinstance(key, SymmetricKey)
            assert (key.algorithm, key.bit_length, key.get_encoded()) == ("AES", 256, AES_256)
        with pytest.raises(exception.KeyManagerError, match="Forbidden"):
            castellan.get(context.mia, id_of(ref))
        with pytest.raises(exception.KeyManagerError, match="Forbidden"):
            castellan.delete(context.ann, id_of(ref))  # then cinder's own user is taken
        castellan.delete(context.cinder, id_of(ref))


class TestNova:
    """Opens volumes with their keys, and keeps the pass phrases of virtual TPMs."""

    def test_an_encrypted_volume_is_opened_by_every_member(self, castellan, context):
        volume = castellan.create_key(context.ann, algorithm="aes", length=256)

        phrases = {hexlify(castellan.get(who, volume).get_encoded()) for who in (context.ann, context.mia)}

        assert [len(phrase) for phrase in phrases] == [64]

    def test_a_virtual_tpm_moves_with_its_instance(self, castellan, context, product):
        phrase = Passphrase(b"384 bytes of it", name="vTPM secret for instance i-1")
        stored = castellan.store(context.ann, phrase)

        elsewhere = connect.castellan(product.url)

        assert elsewhere.get(context.ann, stored).get_encoded() == b"384 bytes of it"
        elsewhere.delete(context.ann, stored)
        with pytest.raises(exception.ManagedObjectNotFoundError):  # which it takes for success
            castellan.delete(context.ann, stored)


class TestGlance:
    def test_an_images_key_goes_with_the_image(self, castellan, context):
        recorded = castellan.create_key(context.ann, algorithm="aes", length=256)

        castellan.delete(context.ann, recorded)

        with pytest.raises(exception.ManagedObjectNotFoundError):
            castellan.get(context.ann, recorded)


class TestSwift:
    """Its root secret: refused unless it is a symmetric key for AES of at least 256 bits."""

    @pytest.mark.parametrize("algorithm", ["aes", "AES"])
    def test_a_root_secret_says_what_it_is(self, castellan, context, algorithm):
        stored = castellan.store(context.ann, SymmetricKey(algorithm, 256, AES_256))

        root = castellan.get(context.ann, stored)

        assert isinstance(root, SymmetricKey)
        assert (root.algorithm, root.bit_length, root.get_encoded()) == (algorithm, 256, AES_256)


class TestManila:
    """Makes a share's key private to its owner and itself, and gives up its part at the end."""

    def test_a_shares_key(self, barbican):
        user, service = barbican.ann, barbican.manila
        ref = user.secrets.create(payload=AES_256).store()
        user.acls.create(ref, users=["manila", "ben"], project_access=False).submit()

        # From this ref it takes the path of an application credential's access rules.
        assert service.client.get(f"secrets/{id_of(ref)}")["secret_ref"] == ref
        assert service.secrets.get(ref).payload == AES_256
        with pytest.raises(exceptions.HTTPClientError, match="Forbidden"):
            barbican.mia.secrets.get(ref).payload  # noqa: B018  # lazy: reading it asks

        acl = user.acls.get(ref)
        acl.read.users = [name for name in acl.read.users if name != "manila"]
        acl.submit()

        with pytest.raises(exceptions.HTTPClientError, match="Forbidden"):
            service.secrets.get(ref).payload  # noqa: B018  # lazy: reading it asks
        read = user.acls.get(ref).read
        assert (read.project_access, read.users) == (False, ["ben"])


class TestProbes:
    @pytest.mark.parametrize(("path", "status"), [("/", 300), ("/healthcheck", 200)])
    def test_a_load_balancer_needs_no_credential(self, product, path, status):
        class Any(urllib.request.HTTPErrorProcessor):
            def http_response(self, request, response):
                return response

        assert urllib.request.build_opener(Any).open(product.url + path, timeout=30).status == status
