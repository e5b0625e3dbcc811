"""Format 2: payloads that the token does not take in one call."""

import pytest

from hsm.provider import hsm
from keepsite.errors import KeyMaterialError
from keepsite.ids import new_id
from keepsite.keyring import services
from keepsite.keyring.models import KEKRun
from keepsite.keyring.sealed import Plaintext, SealContext
from secrets_app.models import Payload
from tests.keyring.rotation.conftest import run_to_its_end

LIMIT = 100


@pytest.fixture(autouse=True)
def _small_calls(mkek):
    """As if the operator had chosen data keys above 100 bytes."""
    config = hsm().config
    object.__setattr__(config, "data_key_above_bytes", LIMIT)
    yield
    object.__setattr__(config, "data_key_above_bytes", None)


@pytest.fixture
def pkek(mkek):
    return services.sealing_key("p1")


@pytest.fixture
def context():
    return SealContext(project_id="p1", secret_id=new_id(), version=1)


@pytest.fixture
def sealed(pkek, context):
    return services.seal(Plaintext(b"x" * (LIMIT + 1)), pkek=pkek, context=context)


def changed(frozen, **fields):
    return type(frozen)(**{name: getattr(frozen, name) for name in frozen.__slots__} | fields)


def opened(sealed, pkek, context):
    return services.open_sealed(sealed, pkek=pkek, context=context).reveal()


class TestLargePayloads:
    @pytest.mark.parametrize(("length_bytes", "number"), [(1, 1), (LIMIT, 1), (LIMIT + 1, 2), (20_000, 2)])
    def test_the_length_decides_and_all_come_back(self, pkek, context, length_bytes, number):
        plaintext = bytes(range(256)) * 79

        sealed = services.seal(Plaintext(plaintext[:length_bytes]), pkek=pkek, context=context)

        assert (sealed.format, sealed.size_bytes) == (number, length_bytes)
        assert opened(sealed, pkek, context) == plaintext[:length_bytes]

    def test_its_layout(self, sealed):
        assert len(sealed.ciphertext) == 48 + 12 + LIMIT + 1 + 16
        assert len(sealed.iv) == 12

    def test_two_calls_whatever_the_length(self, pkek, context, shim):
        services.seal(Plaintext(b"warms the handle"), pkek=pkek, context=context)

        with shim.counting() as calls:
            sealed = services.seal(Plaintext(b"x" * 1_000_000), pkek=pkek, context=context)
            opened(sealed, pkek, context)

        assert calls == {"C_EncryptInit": 1, "C_Encrypt": 1, "C_DecryptInit": 1, "C_Decrypt": 1}

    def test_through_the_api(self, api):
        path = api.store("y" * 5_000)

        assert Payload.objects.get().format == 2
        assert api.get(f"{path}/payload").content == b"y" * 5_000

    @pytest.mark.parametrize("position", [0, 40, 47, 48, 59, 60, 100, -1])
    def test_one_bit_changed_anywhere_and_it_does_not_open(self, pkek, context, sealed, position):
        octets = bytearray(sealed.ciphertext)
        octets[position] ^= 1

        with pytest.raises(KeyMaterialError):
            opened(changed(sealed, ciphertext=bytes(octets)), pkek, context)

    @pytest.mark.parametrize("length_bytes", [0, 15, 47, 48, 59, 60, 75])
    def test_cut_short_it_does_not_open(self, pkek, context, sealed, length_bytes):
        with pytest.raises(KeyMaterialError):
            opened(changed(sealed, ciphertext=sealed.ciphertext[:length_bytes]), pkek, context)

    @pytest.mark.parametrize(
        "elsewhere",
        [{"secret_id": "another"}, {"project_id": "p2"}, {"version": 2}],
        ids=["secret", "project", "version"],
    )
    def test_elsewhere_it_does_not_open(self, pkek, context, sealed, elsewhere):
        with pytest.raises(KeyMaterialError):
            opened(sealed, pkek, changed(context, **elsewhere))

    def test_its_data_key_does_not_pass_for_a_payload(self, pkek, context, sealed):
        """Whoever can write the database must not get the data key through the API."""
        graft = changed(sealed, format=1, ciphertext=sealed.ciphertext[:48])

        with pytest.raises(KeyMaterialError):
            opened(graft, pkek, context)

    def test_one_format_is_not_opened_as_the_other(self, pkek, context, sealed):
        small = services.seal(Plaintext(b"z" * LIMIT), pkek=pkek, context=context)

        with pytest.raises(KeyMaterialError):
            opened(changed(sealed, format=1), pkek, context)
        with pytest.raises(KeyMaterialError):
            opened(changed(small, format=2), pkek, context)


class TestRotation:
    def test_the_payload_gets_a_new_data_key_for_four_calls(self, api, shim):
        path = api.store("y" * 5_000)
        before = bytes(Payload.objects.get().ciphertext)
        run_to_its_end(KEKRun.Kind.ROTATE)
        api.store("warms the new key")

        with shim.counting() as calls:
            run_to_its_end(KEKRun.Kind.REENCRYPT)

        after = Payload.objects.get(secret_id=path.rpartition("/")[2])
        assert calls == {"C_DecryptInit": 1, "C_Decrypt": 1, "C_EncryptInit": 1, "C_Encrypt": 1}
        assert (after.format, after.pkek.generation) == (2, 2)
        assert bytes(after.ciphertext)[60:] != before[60:]
        assert api.get(f"{path}/payload").content == b"y" * 5_000
