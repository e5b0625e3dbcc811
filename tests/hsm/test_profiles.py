"""Each profile on a token that behaves as its vendor's: SoftHSM behind the shim, which speaks dialects."""

import secrets
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap

from hsm.errors import CallRefused, IntegrityFailed, MechanismUnsupported
from hsm.ivs import TokenIVs
from hsm.keys import Encrypted, MKEKInfo
from hsm.profiles import PROFILES, IVSource
from keepsite.keyring import formats
from keepsite.keyring.sealed import Plaintext, SealContext
from tests.hsm.conftest import create_key, member_of, states

AAD = b"whose it is"
KW, GCM = 0x2109, 0x1087
LUNA_KW, CLOUDHSM_KW = 0x8000_0170, 0x8000_2109

# How the shim makes SoftHSM behave.
DIALECTS = {
    "softhsm": {},
    "generic": {"most_bytes": 16_000},
    "luna": {"own_iv": "end", "vendor": (KW, LUNA_KW), "value_len": True, "most_bytes": 16_000},
    "cloudhsm": {"own_iv": "parameter", "vendor": (KW, CLOUDHSM_KW), "most_bytes": 16_224},
    "nshield": {"most_bytes": 16_000},
    "utimaco": {"most_bytes": 16_000},
}
IV_BYTES = {"luna": 16}


@pytest.fixture
def configured(shim, make_hsm):
    """An HSM of the profile named, before a token of the dialect named."""

    def configured(profile, dialect=None, extra=""):
        shim.speak(**DIALECTS[dialect or profile])
        return make_hsm(profile=profile, extra=extra)

    return configured


def sealing_key(hsm):
    found = hsm.mkeks()
    return create_key(hsm, found[0] if found else hsm.generate_mkek(label="m"))


class TestEveryProfile:
    def test_there_is_a_dialect_for_each(self):
        assert {*DIALECTS} == {*PROFILES}

    @pytest.mark.parametrize("name", PROFILES)
    def test_wraps_by_rfc_3394(self, configured, name):
        hsm = configured(name)
        raw, mkek_id = secrets.token_bytes(32), secrets.token_bytes(16)
        hsm.ceremony(
            lambda connection: connection.import_mkek(
                bytearray(raw), MKEKInfo(mkek_id=mkek_id, label="m", kcv=b"")
            )
        )
        (mkek,) = hsm.mkeks()

        key = create_key(hsm, mkek)

        assert hsm.profile.wraps_by_rfc_3394
        aead = AESGCM(aes_key_unwrap(raw, key.wrapped))
        assert aead.decrypt(key.canary.iv, key.canary.ciphertext, key.canary.aad) == key.canary.plaintext

    @pytest.mark.parametrize("name", PROFILES)
    def test_makes_keys_seals_opens_and_rewraps(self, configured, name):
        hsm = configured(name)
        old = hsm.generate_mkek(label="m1")
        key = create_key(hsm, old)

        sealed = hsm.encrypt(key, b"secret", aad=AAD)
        hsm.forget(key.key_id)
        assert hsm.decrypt(key, sealed, aad=AAD) == b"secret"
        hsm.forget(key.key_id)
        again = hsm.encrypt(key, b"other", aad=AAD)  # cold: its canary is opened first

        assert hsm.decrypt(key, again, aad=AAD) == b"other"
        assert {len(sealed.iv), len(key.canary.iv)} == {IV_BYTES.get(name, 12)}
        assert len(sealed.ciphertext) == len(b"secret") + 16
        assert sealed.iv != again.iv
        new = hsm.generate_mkek(label="m2")
        moved = replace(key, mkek_id=new.mkek_id, wrapped=hsm.rewrap(key, mkek_id=new.mkek_id))
        hsm.forget(key.key_id)
        assert hsm.decrypt(moved, sealed, aad=AAD) == b"secret"

    @pytest.mark.parametrize("name", PROFILES)
    def test_a_warm_request_is_two_calls_whoever_makes_the_iv(self, configured, name, shim):
        hsm = configured(name)
        key = sealing_key(hsm)

        with shim.counting() as calls:
            hsm.decrypt(key, hsm.encrypt(key, b"x", aad=AAD), aad=AAD)

        assert calls == {"C_EncryptInit": 1, "C_Encrypt": 1, "C_DecryptInit": 1, "C_Decrypt": 1}

    @pytest.mark.parametrize("name", PROFILES)
    def test_a_tampered_byte_or_iv_does_not_open(self, configured, name):
        hsm = configured(name)
        key = sealing_key(hsm)
        sealed = hsm.encrypt(key, b"secret", aad=AAD)
        flipped = [
            Encrypted(iv=bytes([sealed.iv[0] ^ 1]) + sealed.iv[1:], ciphertext=sealed.ciphertext),
            Encrypted(iv=sealed.iv, ciphertext=bytes([sealed.ciphertext[0] ^ 1]) + sealed.ciphertext[1:]),
        ]

        for tampered in flipped:
            with pytest.raises(IntegrityFailed):
                hsm.decrypt(key, tampered, aad=AAD)
        assert states(hsm) == {"a": "up"}

    @pytest.mark.parametrize("name", PROFILES)
    def test_the_longest_payload_of_one_call_fits_and_one_byte_more_is_refused(self, configured, name):
        hsm = configured(name)
        key = sealing_key(hsm)
        longest = bytes(hsm.profile.max_single_part_bytes)

        assert hsm.decrypt(key, hsm.encrypt(key, longest, aad=AAD), aad=AAD) == longest
        with pytest.raises(CallRefused, match="do not fit into one call"):
            hsm.encrypt(key, longest + b"!", aad=AAD)


class TestLongPayloads:
    @pytest.mark.parametrize(("more_bytes", "number"), [(0, 1), (1, 2), (5_000_000, 2)])
    @pytest.mark.parametrize("name", ["cloudhsm", "luna", "nshield"])
    def test_the_limit_decides_the_format_and_the_token_never_sees_more(
        self, configured, shim, name, more_bytes, number
    ):
        hsm = configured(name)
        limit = hsm.profile.max_single_part_bytes
        shim.speak(**DIALECTS[name] | {"most_bytes": limit})
        key, where = sealing_key(hsm), SealContext(project_id="p", secret_id="s", version=1)
        plaintext = bytes(limit + more_bytes)

        sealed = formats.seal(hsm, key, Plaintext(plaintext), where)
        opened = formats.opener(sealed.format)(
            hsm, key, Encrypted(iv=sealed.iv, ciphertext=sealed.ciphertext), where
        )

        assert sealed.format == number
        assert opened == plaintext


class TestAnotherSource:
    """Tokens are replaced, and put into FIPS mode: what was sealed before must open."""

    @pytest.mark.parametrize("later", ["luna", "cloudhsm", "softhsm"])
    @pytest.mark.parametrize("earlier", ["luna", "cloudhsm", "softhsm"])
    def test_what_was_sealed_with_another_iv_source_opens(self, configured, shim, earlier, later):
        keep = {"wrap_mechanism": KW, "unwrap_needs_value_len": "false"}  # it is the same token
        same = "\n".join(f"{name} = {value}" for name, value in keep.items())
        first = configured(earlier, extra=same)
        shim.speak(own_iv=DIALECTS[earlier].get("own_iv"))
        key = sealing_key(first)
        sealed = first.encrypt(key, b"from before", aad=AAD)
        first.close()

        second = configured(later, extra=same)
        shim.speak(own_iv=DIALECTS[later].get("own_iv"))

        assert second.decrypt(key, sealed, aad=AAD) == b"from before"
        second.forget(key.key_id)
        now = second.encrypt(key, b"from now", aad=AAD)  # after the old canary opened
        assert second.decrypt(key, now, aad=AAD) == b"from now"
        assert len(now.iv) == IV_BYTES.get(later, 12)


class TestTokenMadeIVs:
    def test_one_call_brings_sixty_four(self, configured, shim):
        hsm = configured("softhsm", extra='iv_source = "hsm"')
        key = sealing_key(hsm)

        with shim.counting() as calls:
            ivs = {hsm.encrypt(key, b"x", aad=AAD).iv for _ in range(128)}

        assert len(ivs) == 128
        assert {len(iv) for iv in ivs} == {12}
        assert calls["C_GenerateRandom"] == 2
        assert calls["C_Encrypt"] == 128

    def test_none_is_given_out_twice(self):
        numbers = iter(range(1000))
        ivs = TokenIVs(lambda size: b"".join(next(numbers).to_bytes(12, "big") for _ in range(size // 12)))

        taken = [ivs.take() for _ in range(200)]

        assert len({*taken}) == 200


class TestWrongProfile:
    @pytest.mark.parametrize(
        ("profile", "dialect"),
        [
            ("softhsm", "end"),
            ("softhsm", "parameter"),
            ("end", None),
            ("parameter", None),
            ("end", "parameter"),
        ],
        ids=str,
    )
    def test_is_found_at_start_and_quarantines_with_a_word(self, configured, shim, profile, dialect):
        extra = "" if profile == "softhsm" else f'iv_source = "internal"\ninternal_iv_at = "{profile}"'
        if profile == "parameter":
            extra += "\ninternal_iv_bytes = 12"
        hsm = configured("softhsm", extra=extra)
        shim.speak(own_iv=dialect)

        with pytest.raises(MechanismUnsupported, match="iv_source"):
            hsm.start()
        assert states(hsm) == {"a": "quarantined"}

    @pytest.mark.parametrize(
        ("profile", "message"),
        [
            ("luna", r"lacks mechanism 0x80000170 to wrap and unwrap, which profile 'luna' needs"),
            ("cloudhsm", r"lacks mechanism 0x80002109 to wrap and unwrap, which profile 'cloudhsm' needs"),
        ],
    )
    def test_a_missing_mechanism_is_named_with_its_use(self, configured, profile, message):
        hsm = configured(profile, dialect="softhsm")

        with pytest.raises(MechanismUnsupported, match=message):
            hsm.start()
        assert states(hsm) == {"a": "quarantined"}

    def test_a_mechanism_that_may_not_do_what_is_needed_is_named_too(self, configured):
        hsm = configured(
            "softhsm", extra="wrap_mechanism = 0x1087"
        )  # AES-GCM, which SoftHSM does not wrap by

        with pytest.raises(MechanismUnsupported, match=r"AES_GCM \(0x1087\) to wrap and unwrap"):
            hsm.start()

    def test_a_token_that_wants_the_length_on_unwrap_says_so(self, configured, shim):
        hsm = configured("softhsm")
        shim.speak(value_len=True)
        mkek = hsm.generate_mkek(label="m")

        with pytest.raises(CallRefused, match=r"0xd0.*profile"):
            create_key(hsm, mkek)

    def test_a_token_that_takes_no_length_on_unwrap_says_so(self, configured):
        hsm = configured("softhsm", extra="unwrap_needs_value_len = true")
        mkek = hsm.generate_mkek(label="m")

        with pytest.raises(CallRefused, match=r"0x10.*profile"):
            create_key(hsm, mkek)

    def test_single_fields_can_be_overridden(self, configured):
        given = f'wrap_mechanism = {KW}\niv_source = "host"\nunwrap_needs_value_len = false'
        hsm = configured("luna", dialect="softhsm", extra=given)

        assert len(hsm.encrypt(sealing_key(hsm), b"x", aad=AAD).iv) == 12
        assert hsm.profile == replace(
            PROFILES["luna"], wrap_mechanism=KW, iv_source=IVSource.HOST, unwrap_needs_value_len=False
        )

    def test_more_mechanisms_than_fit_into_the_first_answer_are_asked_for_again(self, hsm, monkeypatch):
        hsm.start()
        connection = member_of(hsm)._connection
        monkeypatch.setattr("hsm.native._MOST_MECHANISMS", 3)

        assert {KW, GCM} <= connection._native.mechanisms(connection.slot)
