import pytest
from cryptography.hazmat.primitives.serialization import (
    load_der_private_key,
    load_pem_private_key,
    load_pem_public_key,
)

from keepsite.audit.files import audit_file
from orders_app import services
from orders_app.models import Order, OrderPassphrase
from orders_app.tasks import fulfil
from tests.support.callers import path_of


def order(api, **meta):
    response = api.post("/v1/orders", {"type": "asymmetric", "meta": meta})
    assert response.status_code == 202, response.content
    return path_of(response.json()["order_ref"])


def fulfilled(api, **meta):
    path = order(api, **meta)
    fulfil(path.rpartition("/")[2])
    shown = api.get(path).json()
    assert shown["status"] == "ACTIVE", shown
    container = api.get(path_of(shown["container_ref"])).json()
    payloads = {
        place["name"]: api.get(path_of(place["secret_ref"]) + "/payload").content
        for place in container["secret_refs"]
    }
    return shown, container, payloads


class TestPairs:
    @pytest.mark.parametrize(
        ("algorithm", "bits", "kind"),
        [("rsa", 1024, "rsa"), ("RSA", 2048, "rsa"), ("rsa", 3072, "rsa"), ("ec", 256, "generic"),
         ("ec", 384, "generic"), ("ec", 521, "generic"), ("ed25519", 256, "generic")],
    )  # fmt: skip
    def test_private_and_public_key_belong_together(self, api, algorithm, bits, kind):
        shown, container, payloads = fulfilled(api, name="pair", algorithm=algorithm, bit_length=bits)

        private = load_pem_private_key(payloads["private_key"], None)
        public = load_pem_public_key(payloads["public_key"])
        assert private.public_key() == public
        assert (container["type"], container["name"]) == (kind, "pair")
        assert "secret_ref" not in shown
        if algorithm != "ed25519":
            assert public.key_size == bits

    def test_dsa_keys_are_der(self, api):
        _, container, payloads = fulfilled(api, algorithm="dsa", bit_length=1024)

        assert load_der_private_key(payloads["private_key"], None).key_size == 1024
        assert container["type"] == "generic"

    def test_secrets_say_what_they_are(self, api):
        _, container, _ = fulfilled(api, algorithm="rsa", bit_length=1024, mode="cbc")

        secrets = {
            place["name"]: api.get(path_of(place["secret_ref"])).json() for place in container["secret_refs"]
        }
        assert {name: secret["secret_type"] for name, secret in secrets.items()} == {
            "private_key": "private",
            "public_key": "public",
        }
        assert all(secret["bit_length"] == 1024 for secret in secrets.values())


class TestPassphrase:
    @pytest.mark.parametrize("name", ["passphrase", "pass_phrase"])
    def test_private_key_opens_with_it_and_only_with_it(self, api, name):
        _, _, payloads = fulfilled(api, algorithm="ec", bit_length=256, **{name: "correct horse"})

        assert payloads["private_key_passphrase"] == b"correct horse"
        assert load_pem_private_key(payloads["private_key"], b"correct horse")
        # One wrong pass phrase in 256 leaves a padding that looks right; what it covers is no key then.
        with pytest.raises(ValueError, match=r"password|deserialize"):
            load_pem_private_key(payloads["private_key"], b"wrong")

    def test_it_is_in_no_echo_row_or_record_and_gone_when_done(self, api):
        path = order(api, algorithm="ec", bit_length=256, passphrase="correct horse")

        row = Order.objects.get()
        assert "correct horse" not in api.get(path).content.decode() + str(vars(row))
        assert b"correct horse" not in bytes(OrderPassphrase.objects.get().ciphertext)
        fulfil(row.id)
        assert not OrderPassphrase.objects.exists()
        records = "".join(file.read_text() for file in audit_file().folder.iterdir())
        assert "correct horse" not in records

    @pytest.mark.parametrize(
        "value", [1, True, ["x"], "x" * 1024], ids=["number", "bool", "list", "too long"]
    )
    def test_other_than_a_text_of_fair_length_is_refused(self, api, value):
        meta = {"algorithm": "rsa", "bit_length": 2048, "passphrase": value}

        assert api.post("/v1/orders", {"type": "asymmetric", "meta": meta}).status_code == 400

    def test_it_is_gone_too_when_the_order_fails_or_is_deleted(self, api):
        failing = order(api, algorithm="ec", bit_length=256, passphrase="correct horse")
        deleted = order(api, algorithm="ec", bit_length=256, passphrase="correct horse")
        assert OrderPassphrase.objects.count() == 2

        services.fail(*services.claim(failing.rpartition("/")[2]), reason="because")
        api.delete(deleted)

        assert not OrderPassphrase.objects.exists()

    def test_half_a_surrogate_pair_is_refused_and_not_quietly_replaced(self, api):
        body = (
            '{"type": "asymmetric", "meta": {"algorithm": "ec", "bit_length": 256, "passphrase": "a\\ud800"}}'
        )

        assert api.post("/v1/orders", body).status_code == 400
        assert not Order.objects.exists()

    @pytest.mark.parametrize("value", ["", None])
    def test_empty_is_none(self, api, value):
        _, _, payloads = fulfilled(api, algorithm="ec", bit_length=256, passphrase=value)

        assert {*payloads} == {"private_key", "public_key"}


class TestRefusals:
    @pytest.mark.parametrize(
        ("algorithm", "bits"),
        [("rsa", 512), ("rsa", 2056), ("ec", 224), ("ec", 512), ("dsa", 4096), ("aes", 256),
         ("diffie_hellman", 2048), ("ed25519", 255)],
    )  # fmt: skip
    def test_what_no_worker_could_make_is_refused_when_ordered(self, api, algorithm, bits):
        meta = {"algorithm": algorithm, "bit_length": bits}

        response = api.post("/v1/orders", {"type": "asymmetric", "meta": meta})

        assert response.status_code == 400
        assert not Order.objects.exists()
