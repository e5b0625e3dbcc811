"""Seal and open: a payload opens where it was sealed, and nowhere else."""

import copy
import json
import pickle

import pytest

from hsm.provider import hsm
from keepsite.errors import KeyMaterialError
from keepsite.ids import new_id
from keepsite.keyring import services
from keepsite.keyring.errors import UnknownFormat
from keepsite.keyring.models import ProjectKEK
from keepsite.keyring.sealed import Plaintext, SealContext
from secrets_app.models import Payload, Secret

GENERIC = "The payload cannot be decrypted."


@pytest.fixture
def pkek(mkek):
    return services.sealing_key("p1")


@pytest.fixture
def context(pkek):
    return SealContext(project_id="p1", secret_id=new_id(), version=1)


@pytest.fixture
def sealed(pkek, context):
    return services.seal(Plaintext(b"secret bytes"), pkek=pkek, context=context)


def changed(frozen, **fields):
    """A copy of a frozen dataclass that says something else."""
    other = copy.copy(frozen)
    for name, value in fields.items():
        object.__setattr__(other, name, value)
    return other


class TestSeal:
    def test_round_trip(self, pkek, context, sealed):
        assert services.open_sealed(sealed, pkek=pkek, context=context).reveal() == b"secret bytes"

    def test_what_is_stored_is_ciphertext_iv_and_tag(self, sealed):
        assert (sealed.format, len(sealed.iv), len(sealed.ciphertext)) == (1, 12, 12 + 16)
        assert b"secret bytes" not in sealed.ciphertext

    def test_the_same_payload_twice_gives_other_bytes(self, pkek, context, sealed):
        again = services.seal(Plaintext(b"secret bytes"), pkek=pkek, context=context)

        assert again.iv != sealed.iv
        assert again.ciphertext != sealed.ciphertext

    @pytest.mark.parametrize("length_bytes", [1, 15, 16, 17, 19_999, 20_000])
    def test_every_length_comes_back(self, pkek, context, length_bytes):
        plaintext = bytes(range(256)) * 79

        sealed = services.seal(Plaintext(plaintext[:length_bytes]), pkek=pkek, context=context)

        opened = services.open_sealed(sealed, pkek=pkek, context=context)
        assert opened.reveal() == plaintext[:length_bytes]


class TestOpen:
    @pytest.mark.parametrize(
        "elsewhere",
        [{"secret_id": new_id()}, {"project_id": "p2"}, {"version": 2}],
        ids=["secret", "project", "version"],
    )
    def test_elsewhere_it_does_not_open(self, pkek, context, sealed, elsewhere):
        with pytest.raises(KeyMaterialError):
            services.open_sealed(sealed, pkek=pkek, context=changed(context, **elsewhere))

    @pytest.mark.parametrize("part", ["iv", "ciphertext"])
    @pytest.mark.parametrize("position", [0, -1], ids=["first", "last"])
    def test_one_bit_changed_and_it_does_not_open(self, pkek, context, sealed, part, position):
        octets = bytearray(getattr(sealed, part))
        octets[position] ^= 1

        with pytest.raises(KeyMaterialError):
            services.open_sealed(changed(sealed, **{part: bytes(octets)}), pkek=pkek, context=context)

    @pytest.mark.parametrize("ciphertext", [b"", b"x", b"x" * 15, b"x" * 16], ids=len)
    def test_a_short_ciphertext_does_not_open(self, pkek, context, sealed, ciphertext):
        with pytest.raises(KeyMaterialError):
            services.open_sealed(changed(sealed, ciphertext=ciphertext), pkek=pkek, context=context)

    @pytest.mark.parametrize("stored_format", [0, 3, 99])
    def test_an_unknown_format_is_refused(self, pkek, context, sealed, stored_format):
        with pytest.raises(UnknownFormat):
            services.open_sealed(changed(sealed, format=stored_format), pkek=pkek, context=context)

    def test_another_projects_key_does_not_open_it(self, pkek, context, sealed):
        other = services.sealing_key("p2")

        with pytest.raises(KeyMaterialError):
            services.open_sealed(sealed, pkek=other, context=context)
        with pytest.raises(KeyMaterialError):
            services.open_sealed(changed(sealed, pkek_id=other.id), pkek=other, context=context)

    def test_a_retired_key_opens_nothing(self, pkek, context, sealed):
        pkek.state = ProjectKEK.State.RETIRED

        with pytest.raises(KeyMaterialError):
            services.open_sealed(sealed, pkek=pkek, context=context)


@pytest.fixture
def stored(api):
    """Two secrets of one project and one of another, each with a payload."""
    other = api.other(project="p2")
    return {"one": api.store("one"), "two": api.store("two"), "foreign": other.store("foreign"), "p2": other}


def payload_of(path):
    return Payload.objects.get(secret_id=path.rpartition("/")[2])


def assert_is_a_generic_500(response):
    assert response.status_code == 500
    assert response.json() == {"code": 500, "title": "Internal Server Error", "description": GENERIC}


class TestGraftedRows:
    """Somebody with write access to the database, and no key."""

    @pytest.mark.parametrize("donor", ["two", "foreign"])
    def test_a_ciphertext_moved_from_another_secret_does_not_open(self, api, stored, donor):
        theirs, ours = payload_of(stored[donor]), payload_of(stored["one"])
        Payload.objects.filter(id=ours.id).update(
            iv=theirs.iv, ciphertext=theirs.ciphertext, pkek=theirs.pkek, size_bytes=theirs.size_bytes
        )

        assert_is_a_generic_500(api.get(f"{stored['one']}/payload"))
        assert api.get(f"{stored['two']}/payload").content == b"two"

    def test_a_payload_row_given_to_another_secret_does_not_open(self, api, stored):
        payload_of(stored["one"]).delete()
        payload = payload_of(stored["foreign"])
        payload.secret_id = stored["one"].rpartition("/")[2]
        payload.save()

        assert_is_a_generic_500(api.get(f"{stored['one']}/payload"))

    def test_a_secret_moved_to_another_project_does_not_open(self, stored):
        secret_id = stored["one"].rpartition("/")[2]
        foreign = Secret.objects.get(id=stored["foreign"].rpartition("/")[2])
        Secret.objects.filter(id=secret_id).update(project=foreign.project)

        assert_is_a_generic_500(stored["p2"].get(f"{stored['one']}/payload"))

    def test_a_secret_moved_with_its_pkek_does_not_open(self, stored):
        secret_id = stored["one"].rpartition("/")[2]
        foreign = Secret.objects.get(id=stored["foreign"].rpartition("/")[2])
        ProjectKEK.objects.filter(project=foreign.project).update(active_marker=None, generation=7)
        ProjectKEK.objects.exclude(project=foreign.project).update(project=foreign.project)
        Secret.objects.filter(id=secret_id).update(project=foreign.project)

        assert_is_a_generic_500(stored["p2"].get(f"{stored['one']}/payload"))

    def test_another_version_does_not_open(self, api, stored):
        Payload.objects.filter(id=payload_of(stored["one"]).id).update(version=2)

        assert_is_a_generic_500(api.get(f"{stored['one']}/payload"))

    def test_another_pkek_row_does_not_open(self, api, stored):
        foreign = payload_of(stored["foreign"]).pkek
        Payload.objects.filter(id=payload_of(stored["one"]).id).update(pkek=foreign)

        assert_is_a_generic_500(api.get(f"{stored['one']}/payload"))

    def test_a_tampered_byte_does_not_open(self, api, stored):
        payload = payload_of(stored["one"])
        octets = bytearray(payload.ciphertext)
        octets[1] ^= 0x80
        Payload.objects.filter(id=payload.id).update(ciphertext=bytes(octets))

        assert_is_a_generic_500(api.get(f"{stored['one']}/payload"))

    def test_an_unknown_format_does_not_open(self, api, stored):
        Payload.objects.filter(id=payload_of(stored["one"]).id).update(format=2)

        assert_is_a_generic_500(api.get(f"{stored['one']}/payload"))

    def test_a_damaged_row_takes_no_other_down(self, api, stored):
        Payload.objects.filter(id=payload_of(stored["one"]).id).update(iv=bytes(12))

        for _ in range(5):
            assert_is_a_generic_500(api.get(f"{stored['one']}/payload"))
        assert api.get(f"{stored['two']}/payload").content == b"two"
        assert api.store("new")


class TestCanaries:
    """A key that does not prove itself seals nothing."""

    def forget(self, pkek_id):
        hsm().forget(pkek_id)

    @pytest.mark.parametrize("column", ["canary_ciphertext", "canary_iv", "wrapped_pkek"])
    def test_a_damaged_pkek_row_seals_nothing(self, api, stored, column):
        pkek = ProjectKEK.objects.get(project__external_id="p1")
        octets = bytearray(getattr(pkek, column))
        octets[0] ^= 1
        ProjectKEK.objects.filter(id=pkek.id).update(**{column: bytes(octets)})
        self.forget(pkek.id)
        before = Secret.objects.count()

        response = api.post("/v1/secrets", {"payload": "x", "payload_content_type": "text/plain"})

        assert_is_a_generic_500(response)
        assert Secret.objects.count() == before

    def test_another_projects_wrapped_key_does_not_pass_for_ours(self, api, stored):
        ours, theirs = (ProjectKEK.objects.get(project__external_id=project) for project in ("p1", "p2"))
        ProjectKEK.objects.filter(id=ours.id).update(
            wrapped_pkek=theirs.wrapped_pkek,
            canary_iv=theirs.canary_iv,
            canary_ciphertext=theirs.canary_ciphertext,
        )
        self.forget(ours.id)

        response = api.post("/v1/secrets", {"payload": "x", "payload_content_type": "text/plain"})

        assert_is_a_generic_500(response)


class TestPlaintext:
    def test_it_prints_as_its_length(self):
        assert repr(Plaintext(b"hunter2")) == str(Plaintext(b"hunter2")) == "<Plaintext 7 bytes>"

    @pytest.mark.parametrize("leak", [pickle.dumps, json.dumps, copy.copy, copy.deepcopy])
    def test_it_is_neither_pickled_nor_written_as_json(self, leak):
        with pytest.raises(TypeError):
            leak(Plaintext(b"hunter2"))

    def test_it_is_no_key_of_a_cache(self):
        assert Plaintext(b"x") != Plaintext(b"x")
