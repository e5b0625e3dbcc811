import random

import pytest

from hsm.faults import ODD_LENGTH, CallFailed
from hsm.fuse import Fuse
from tests.hsm.conftest import member_of

IV, AAD = bytes(12), b"aad"


@pytest.fixture
def native(hsm, key):
    return member_of(hsm)._connection._native


@pytest.fixture
def session(hsm, key):
    return member_of(hsm)._connection._open_session()


@pytest.fixture
def handle(hsm, key):
    return member_of(hsm)._connection.handles.pin(key.key_id).handle


class TestEncryptAndDecrypt:
    def test_any_size_round_trips(self, native, session, handle):
        sizes = random.Random(1)
        for _ in range(1500):
            plaintext = sizes.randbytes(sizes.choice([sizes.randrange(40), sizes.randrange(20_001)]))
            aad = sizes.randbytes(sizes.randrange(300))

            ciphertext = native.encrypt(session, handle, IV, aad, plaintext)

            assert len(ciphertext) == len(plaintext) + 16
            assert native.decrypt(session, handle, IV, aad, ciphertext) == plaintext

    def test_under_random_faults_either_the_right_bytes_or_a_code_comes_out(
        self, hsm, key, native, handle, shim
    ):
        dice = random.Random(2)
        connection = member_of(hsm)._connection
        codes = [0x05, 0x20, 0x30, 0x40, 0x41, 0x60, 0x82, 0x90, 0xB3, 0x150, 0x80000001, 0xFFFFFFFF]
        failed = 0
        for _ in range(60):
            shim.clear()
            native.fuse = Fuse()  # another login
            session = connection._open_session()
            shim.answer(dice.choice(codes), one_in=4)
            for _ in range(50):
                plaintext = dice.randbytes(dice.randrange(20_001))
                try:
                    ciphertext = native.encrypt(session, handle, IV, AAD, plaintext)
                    assert native.decrypt(session, handle, IV, AAD, ciphertext) == plaintext
                except CallFailed:
                    failed += 1
                    break
        assert failed > 30

    def test_random_ciphertexts_are_refused_whatever_their_size(self, native, handle, hsm, key):
        dice = random.Random(3)
        connection = member_of(hsm)._connection
        for _ in range(300):
            with connection._fresh_session() as session, pytest.raises(CallFailed):
                native.decrypt(session, handle, IV, AAD, dice.randbytes(dice.randrange(16, 3000)))


class TestOddLengths:
    """A module that answers CKR_OK with a length that cannot be right."""

    @pytest.fixture
    def lying(self, native, monkeypatch):
        def tell(name, length):
            def answer(*arguments):
                arguments[-1]._obj.value = length
                return 0

            if name in native._functions:
                monkeypatch.setitem(native._functions, name, answer)
            short = {"C_Encrypt": "_encrypt", "C_Decrypt": "_decrypt"}.get(name)
            if short:
                monkeypatch.setattr(native, short, answer)

        return tell

    @pytest.mark.parametrize("length", [0, 1, 15, 25, 27, 1 << 20, 2**64 - 1])
    def test_of_encrypt_is_refused(self, native, session, handle, lying, length):
        lying("C_Encrypt", length)

        with pytest.raises(CallFailed) as failure:
            native.encrypt(session, handle, IV, AAD, b"ten bytes!")
        assert failure.value.rv == ODD_LENGTH

    @pytest.mark.parametrize("length", [0, 9, 11, 26, 1 << 20, 2**64 - 1])
    def test_of_decrypt_is_refused(self, native, session, handle, lying, length):
        ciphertext = native.encrypt(session, handle, IV, AAD, b"ten bytes!")
        lying("C_Decrypt", length)

        with pytest.raises(CallFailed) as failure:
            native.decrypt(session, handle, IV, AAD, ciphertext)
        assert failure.value.rv == ODD_LENGTH

    @pytest.mark.parametrize("length", [0, 32, 65, 2**64 - 1])
    def test_of_wrap_is_refused(self, native, session, handle, lying, length):
        lying("C_WrapKey", length)

        with pytest.raises(CallFailed) as failure:
            native.wrap(session, 0x2109, 1, handle)
        assert failure.value.rv == ODD_LENGTH
