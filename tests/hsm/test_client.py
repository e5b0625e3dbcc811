from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap
from pkcs11 import Attribute, KeyType, ObjectClass

from hsm.errors import (
    CallRefused,
    CanaryMismatch,
    IntegrityFailed,
    LabelTaken,
    MemberUnavailable,
    MKEKNotFound,
)
from hsm.keys import Encrypted
from tests.hsm.conftest import create_key, member_of

AAD = b"whose it is"


def flipped(data, at=0):
    return bytes([*data[:at], data[at] ^ 1, *data[at + 1 :]])


class TestEncrypt:
    @pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 64, 4096, 20_000])
    def test_round_trip(self, hsm, key, size):
        plaintext = bytes(n % 251 for n in range(size))

        sealed = hsm.encrypt(key, plaintext, aad=AAD)

        assert len(sealed.iv) == 12
        assert len(sealed.ciphertext) == size + 16
        assert hsm.decrypt(key, sealed, aad=AAD) == plaintext

    def test_each_encryption_has_its_own_iv(self, hsm, key):
        assert len({hsm.encrypt(key, b"same", aad=AAD).iv for _ in range(20)}) == 20

    def test_warm_is_two_calls(self, hsm, key, shim):
        hsm.encrypt(key, b"x", aad=AAD)

        with shim.counting() as calls:
            hsm.encrypt(key, b"x", aad=AAD)

        assert calls == {"C_EncryptInit": 1, "C_Encrypt": 1}

    def test_cold_is_five_calls_because_the_key_proves_itself_first(self, hsm, key, shim):
        hsm.forget(key.key_id)

        with shim.counting() as calls:
            hsm.encrypt(key, b"x", aad=AAD)

        assert calls == {
            "C_UnwrapKey": 1,
            "C_DecryptInit": 1,
            "C_Decrypt": 1,
            "C_EncryptInit": 1,
            "C_Encrypt": 1,
        }

    def test_a_key_that_does_not_open_its_canary_encrypts_nothing(self, hsm, mkek, key, shim):
        other = create_key(hsm, mkek)
        grafted = replace(key, key_id="grafted", wrapped=other.wrapped)

        with shim.counting() as calls, pytest.raises(IntegrityFailed):
            hsm.encrypt(grafted, b"x", aad=AAD)

        assert "C_EncryptInit" not in calls or calls["C_EncryptInit"] == calls["C_GenerateKey"]
        assert hsm.status()[0].state == "up"

    def test_a_canary_with_another_plaintext_is_refused(self, hsm, key):
        changed = replace(key, key_id="changed", canary=replace(key.canary, plaintext=b"other"))

        with pytest.raises(IntegrityFailed):
            hsm.encrypt(changed, b"x", aad=AAD)

    def test_more_than_fits_into_one_call_is_refused(self, make_hsm):
        with pytest.raises(CallRefused, match="at most 32"):
            make_hsm(extra="max_single_part_bytes = 32").encrypt(None, bytes(33), aad=AAD)

    def test_an_unknown_mkek_is_named_and_the_member_stays_up(self, hsm, key):
        with pytest.raises(MKEKNotFound, match=(b"\x07" * 16).hex()):
            hsm.encrypt(replace(key, key_id="orphan", mkek_id=b"\x07" * 16), b"x", aad=AAD)

        assert hsm.status()[0].state == "up"


class TestDecrypt:
    def test_warm_is_two_calls_and_cold_is_three(self, hsm, key, shim):
        sealed = hsm.encrypt(key, b"x", aad=AAD)
        hsm.forget(key.key_id)

        with shim.counting() as cold:
            hsm.decrypt(key, sealed, aad=AAD)
        with shim.counting() as warm:
            hsm.decrypt(key, sealed, aad=AAD)

        assert cold == {"C_UnwrapKey": 1, "C_DecryptInit": 1, "C_Decrypt": 1}
        assert warm == {"C_DecryptInit": 1, "C_Decrypt": 1}

    def test_a_good_tag_proves_the_key_for_encryption(self, hsm, key, shim):
        sealed = hsm.encrypt(key, b"x", aad=AAD)
        hsm.forget(key.key_id)
        hsm.decrypt(key, sealed, aad=AAD)

        with shim.counting() as calls:
            hsm.encrypt(key, b"x", aad=AAD)

        assert sum(calls.values()) == 2

    @pytest.mark.parametrize(
        "tampered",
        [
            pytest.param(lambda s: (replace(s, ciphertext=flipped(s.ciphertext)), AAD), id="ciphertext"),
            pytest.param(lambda s: (replace(s, ciphertext=flipped(s.ciphertext, -1)), AAD), id="tag"),
            pytest.param(lambda s: (replace(s, iv=flipped(s.iv)), AAD), id="iv"),
            pytest.param(lambda s: (s, AAD + b"!"), id="aad"),
            pytest.param(lambda s: (replace(s, ciphertext=s.ciphertext[:-1]), AAD), id="truncated"),
            pytest.param(lambda s: (replace(s, ciphertext=s.ciphertext[:15]), AAD), id="shorter than a tag"),
        ],
    )
    def test_a_tampered_byte_fails_and_trips_nobody(self, hsm, key, shim, tampered):
        sealed = hsm.encrypt(key, b"secret", aad=AAD)
        bad, aad = tampered(sealed)

        with pytest.raises(IntegrityFailed):
            hsm.decrypt(key, bad, aad=aad)

        with shim.counting() as calls:
            assert hsm.decrypt(key, sealed, aad=AAD) == b"secret"
        assert calls.get("C_UnwrapKey") is None
        assert hsm.status()[0].state == "up"

    def test_a_tampered_wrapped_key_fails_and_keeps_other_keys_cached(self, hsm, mkek, key, shim):
        other = create_key(hsm, mkek)
        sealed = hsm.encrypt(key, b"x", aad=AAD)
        bad = replace(key, key_id="bad", wrapped=flipped(key.wrapped))

        with pytest.raises(IntegrityFailed):
            hsm.decrypt(bad, sealed, aad=AAD)

        with shim.counting() as calls:
            hsm.encrypt(other, b"x", aad=AAD)
            hsm.decrypt(key, sealed, aad=AAD)
        assert sum(calls.values()) == 4

    def test_another_key_does_not_open_it(self, hsm, mkek, key):
        sealed = hsm.encrypt(key, b"x", aad=AAD)

        with pytest.raises(IntegrityFailed):
            hsm.decrypt(create_key(hsm, mkek), sealed, aad=AAD)


class TestCreateKey:
    def test_takes_six_calls_and_the_first_encrypt_two_more(self, hsm, mkek, shim):
        create_key(hsm, mkek)

        with shim.counting() as calls:
            key = create_key(hsm, mkek)
        with shim.counting() as encrypting:
            hsm.encrypt(key, b"x", aad=AAD)

        expected = ["GenerateKey", "WrapKey", "DestroyObject", "UnwrapKey", "EncryptInit", "Encrypt"]
        assert calls == {f"C_{name}": 1 for name in expected}
        assert sum(encrypting.values()) == 2
        assert len(key.wrapped) == 40

    def test_a_repeat_after_a_fault_uses_the_key_it_returns(self, hsm, mkek, shim):
        create_key(hsm, mkek)
        shim.answer(0xB3, "C_Encrypt", times=1)

        key = create_key(hsm, mkek, "again")
        sealed = hsm.encrypt(key, b"x", aad=AAD)
        hsm.forget("again")

        assert hsm.decrypt(key, sealed, aad=AAD) == b"x"

    def test_a_key_that_was_not_finished_is_not_in_the_cache(self, hsm, mkek, shim):
        create_key(hsm, mkek)
        shim.answer(0x05, "C_Encrypt", times=1)

        with pytest.raises(MemberUnavailable):
            create_key(hsm, mkek, "unfinished")

        assert member_of(hsm)._connection.handles.pin("unfinished") is None

    def test_the_key_in_use_cannot_leave_the_token(self, hsm, key):
        member = member_of(hsm)
        connection = member._connection
        handle = connection.handles.pin(key.key_id).handle
        mkek = connection._mkek(key.mkek_id)

        with pytest.raises(Exception, match="C_WrapKey answered 0x6a"):
            connection._native.wrap(connection.owner, 0x2109, mkek, handle)


class TestRandom:
    def test_is_one_call(self, hsm, shim):
        hsm.random(1)

        with shim.counting() as calls:
            data = hsm.random(48)

        assert calls == {"C_GenerateRandom": 1}
        assert len(data) == 48
        assert data != hsm.random(48)


class TestGenerateMKEK:
    def test_is_found_again_by_another_login(self, hsm, make_hsm):
        made = hsm.generate_mkek(label="keepsite-mkek-7")
        hsm.close()

        assert make_hsm().mkeks() == (made,)
        assert len(made.mkek_id) == 16
        assert len(made.kcv) == 3

    def test_an_existing_label_is_refused(self, hsm, mkek):
        with pytest.raises(LabelTaken, match=mkek.label):
            hsm.generate_mkek(label=mkek.label)

        assert hsm.mkeks() == (mkek,)

    def test_is_never_repeated(self, hsm, shim):
        hsm.start()
        shim.answer(0xB3, "C_GenerateKey")

        with shim.counting() as calls, pytest.raises(Exception, match="0xb3"):
            hsm.generate_mkek(label="once")

        assert calls["C_GenerateKey"] == 1

    def test_its_template_lets_it_wrap_and_nothing_else(self, hsm, mkek):
        connection = member_of(hsm)._connection
        wanted = {
            Attribute.TOKEN: True,
            Attribute.PRIVATE: True,
            Attribute.SENSITIVE: True,
            Attribute.WRAP: True,
            Attribute.UNWRAP: True,
            Attribute.ENCRYPT: False,
            Attribute.DECRYPT: False,
            Attribute.SIGN: False,
            Attribute.VERIFY: False,
            Attribute.DERIVE: False,
            Attribute.EXTRACTABLE: False,
            Attribute.MODIFIABLE: False,
        }

        with connection._searching() as session:
            (found,) = session.get_objects({Attribute.LABEL: mkek.label})
            assert {name: found[name] for name in wanted} == wanted


class TestExpect:
    def test_a_member_serves_after_it_opened_the_canary(self, hsm, mkek, key, make_hsm):
        other = make_hsm()
        other.expect([key])
        other.start()

        assert other.status()[0].state == "up"

    def test_a_running_member_proves_a_new_one_at_once(self, hsm, key, shim):
        hsm.forget(key.key_id)

        with shim.counting() as calls:
            hsm.expect([key])
            hsm.expect([key])

        assert calls["C_UnwrapKey"] == 1
        assert hsm.status()[0].state == "up"

    def test_another_mkek_of_the_same_id_is_never_served(self, token, make_hsm, hsm, mkek, key):
        hsm.close()
        token.util("--delete-token", "--token", token.label)
        token.util("--init-token", "--free", "--label", token.label, "--pin", "1234", "--so-pin", "5678")
        token.import_key(b"\x77" * 32, label="imposter", key_id=mkek.mkek_id)
        other = make_hsm()
        other.expect([key])

        with pytest.raises(CanaryMismatch, match=mkek.mkek_id.hex()):
            other.start()
        with pytest.raises(CanaryMismatch):
            other.random(1)
        assert other.status()[0].state == "quarantined"

    def test_a_missing_mkek_is_never_served(self, token, make_hsm, hsm, mkek, key):
        hsm.close()
        token.util("--delete-token", "--token", token.label)
        token.util("--init-token", "--free", "--label", token.label, "--pin", "1234", "--so-pin", "5678")
        other = make_hsm()
        other.expect([key])

        with pytest.raises(MKEKNotFound):
            other.start()
        assert other.status()[0].state == "quarantined"

    def test_a_running_member_refuses_a_bad_one_and_serves_on(self, hsm, mkek, key):
        bad = replace(key, key_id="bad canary", wrapped=flipped(key.wrapped))

        with pytest.raises(CanaryMismatch):
            hsm.expect([bad])
        with pytest.raises(MKEKNotFound):
            hsm.expect([replace(key, key_id="no mkek", mkek_id=bytes(16))])

        assert hsm.decrypt(key, hsm.encrypt(key, b"x", aad=AAD), aad=AAD) == b"x"


class TestStatus:
    def test_tells_nothing_secret_and_asks_nobody(self, hsm, key, shim):
        with shim.counting() as calls:
            (status,) = hsm.status()

        assert calls == {}
        assert (status.name, status.state, status.token_label) == ("a", "up", "keepsite")
        assert status.cached_keys == 1
        assert "1234" not in repr(status)

    def test_an_hsm_not_yet_started_touches_nothing(self, make_hsm, shim):
        (status,) = make_hsm().status()

        assert status.state == "starting"
        assert shim.calls() == {}


def imported(hsm, raw, mkek_id):
    """Put a known key on the token; softhsm2-util --import does not take zero bytes, which vectors have."""
    hsm.start()
    with member_of(hsm)._connection._searching(read_write=True) as session:
        session.create_object(
            {
                Attribute.CLASS: ObjectClass.SECRET_KEY,
                Attribute.KEY_TYPE: KeyType.AES,
                Attribute.VALUE: raw,
                Attribute.TOKEN: True,
                Attribute.ID: mkek_id,
                Attribute.LABEL: "imported",
                **dict.fromkeys(
                    (Attribute.WRAP, Attribute.UNWRAP, Attribute.ENCRYPT, Attribute.DECRYPT), True
                ),
            }
        )
    return member_of(hsm)._connection


class TestVectors:
    # RFC 3394 section 4.6: wrap 256 bits of key data with a 256-bit KEK.
    KEK = bytes.fromhex("000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F")
    DATA = bytes.fromhex("00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F")
    WRAPPED = bytes.fromhex(
        "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21"
    )

    def test_wrap_equals_rfc_3394(self, hsm):
        connection = imported(hsm, self.KEK, b"\x33" * 16)
        with connection._searching() as session:
            data = session.create_object(
                {
                    Attribute.CLASS: ObjectClass.SECRET_KEY,
                    Attribute.KEY_TYPE: KeyType.AES,
                    Attribute.VALUE: self.DATA,
                    Attribute.EXTRACTABLE: True,
                }
            )
            kek = connection._mkek(b"\x33" * 16)

            assert connection._native.wrap(session.handle, 0x2109, kek, data.handle) == self.WRAPPED

    def test_unwrap_equals_rfc_3394(self, hsm):
        connection = imported(hsm, self.KEK, b"\x33" * 16)

        handle = connection._unwrap(b"\x33" * 16, self.WRAPPED)

        ours = connection._native.encrypt(connection.owner, handle, bytes(12), b"", b"text")
        assert ours == _software_gcm(self.DATA, bytes(12), b"text")

    # Cases 13, 14, 16 of McGrew and Viega, "The Galois/Counter Mode of Operation", submitted to NIST.
    @pytest.mark.parametrize(
        "vector",
        [
            pytest.param(
                ("00" * 32, "00" * 12, "", "", "530f8afbc74536b9a963b4f1c4cb738b"), id="13: nothing at all"
            ),
            pytest.param(
                (
                    *("00" * 32, "00" * 12, "", "00" * 16),
                    "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919",
                ),
                id="14: one block",
            ),
            pytest.param(
                (
                    "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
                    "cafebabefacedbaddecaf888",
                    "feedfacedeadbeeffeedfacedeadbeefabaddad2",
                    (
                        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
                    ),
                    (
                        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
                        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
                        "76fc6ece0f4e1768cddf8853bb2d551b"
                    ),
                ),
                id="16: with AAD",
            ),
        ],
    )
    def test_gcm_of_an_imported_key_equals_nist(self, hsm, vector):
        key, iv, aad, plaintext, expected = map(bytes.fromhex, vector)
        connection = imported(hsm, key, b"\x44" * 16)
        handle = connection._mkek(b"\x44" * 16)

        ciphertext = connection._native.encrypt(connection.owner, handle, iv, aad, plaintext)

        assert ciphertext == expected
        assert connection._native.decrypt(connection.owner, handle, iv, aad, ciphertext) == plaintext

    def test_what_it_wraps_a_software_rfc_3394_unwraps(self, hsm):
        mkek_id = b"\x55" * 16
        imported(hsm, self.KEK, mkek_id)
        key = hsm.create_key(mkek_id=mkek_id, key_id="k", canary_plaintext=b"c", canary_aad=b"a")

        sealed = hsm.encrypt(key, b"text", aad=b"")

        raw = aes_key_unwrap(self.KEK, key.wrapped)
        assert sealed == Encrypted(iv=sealed.iv, ciphertext=_software_gcm(raw, sealed.iv, b"text"))


def _software_gcm(key, iv, plaintext):
    return AESGCM(key).encrypt(iv, plaintext, None)
