"""Stored formats of what is sealed; ``sealed.Sealed`` describes their bytes."""

import os
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hsm.client import HSM
from hsm.errors import IntegrityFailed
from hsm.keys import AES_256_BYTES, GCM_IV_BYTES, GCM_TAG_BYTES, Encrypted, WrappedKey
from keepsite.keyring.sealed import Plaintext, SealContext, Sealed

SINGLE_CALL = 1
DATA_KEY = 2
_SEALED_KEY_BYTES = AES_256_BYTES + GCM_TAG_BYTES


def seal(token: HSM, key: WrappedKey, plaintext: Plaintext, context: SealContext) -> Sealed:
    """Seal in the newest format that fits the length: two PKCS#11 calls, whichever it is."""
    is_long = len(plaintext) > token.config.single_call_bytes
    number, sealing = (DATA_KEY, _seal_with_data_key) if is_long else (SINGLE_CALL, _seal_in_one_call)
    encrypted = sealing(token, key, plaintext.reveal(), context)
    return Sealed(
        format=number,
        pkek_id=key.key_id,
        iv=encrypted.iv,
        ciphertext=encrypted.ciphertext,
        size_bytes=len(plaintext),
    )


def opener(number: int) -> Callable[[HSM, WrappedKey, Encrypted, SealContext], bytes] | None:
    """What opens this format with two PKCS#11 calls; None if no release that we know wrote it."""
    return {SINGLE_CALL: _open_in_one_call, DATA_KEY: _open_with_data_key}.get(number)


def _seal_in_one_call(token: HSM, key: WrappedKey, plaintext: bytes, context: SealContext) -> Encrypted:
    return token.encrypt(key, plaintext, aad=context.aad(key.key_id))


def _open_in_one_call(token: HSM, key: WrappedKey, encrypted: Encrypted, context: SealContext) -> bytes:
    return token.decrypt(key, encrypted, aad=context.aad(key.key_id))


def _seal_with_data_key(token: HSM, key: WrappedKey, plaintext: bytes, context: SealContext) -> Encrypted:
    data_key, iv = os.urandom(AES_256_BYTES), os.urandom(GCM_IV_BYTES)
    sealed_key = token.encrypt(key, data_key, aad=context.data_key_aad(key.key_id))
    payload = AESGCM(data_key).encrypt(iv, plaintext, context.aad(key.key_id))
    return Encrypted(iv=sealed_key.iv, ciphertext=sealed_key.ciphertext + iv + payload)


def _open_with_data_key(token: HSM, key: WrappedKey, encrypted: Encrypted, context: SealContext) -> bytes:
    sealed_key, rest = encrypted.ciphertext[:_SEALED_KEY_BYTES], encrypted.ciphertext[_SEALED_KEY_BYTES:]
    iv, payload = rest[:GCM_IV_BYTES], rest[GCM_IV_BYTES:]
    if len(payload) < GCM_TAG_BYTES:
        raise IntegrityFailed("a payload of format 2 is shorter than its key, IV and tag")
    data_key = token.decrypt(
        key, Encrypted(iv=encrypted.iv, ciphertext=sealed_key), aad=context.data_key_aad(key.key_id)
    )
    try:
        return AESGCM(data_key).decrypt(iv, payload, context.aad(key.key_id))
    except InvalidTag as error:
        raise IntegrityFailed("a payload does not open under its data key") from error
