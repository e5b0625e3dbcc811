"""The MKEKs on a token: searched and made by python-pkcs11, outside the request path."""

import os

import pkcs11
from pkcs11 import Attribute, KeyType, MechanismFlag, ObjectClass

from hsm.errors import LabelTaken
from hsm.faults import translating
from hsm.keys import AES_256_BYTES, KCV_BYTES, MKEK_ID_BYTES, MKEKInfo

_MKEK_SEARCH = {
    Attribute.CLASS: ObjectClass.SECRET_KEY,
    Attribute.KEY_TYPE: KeyType.AES,
    Attribute.TOKEN: True,
    Attribute.UNWRAP: True,
}
_MKEK_TEMPLATE = {
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.MODIFIABLE: False,
    Attribute.ENCRYPT: False,
    Attribute.DECRYPT: False,
    Attribute.SIGN: False,
    Attribute.VERIFY: False,
    Attribute.DERIVE: False,
}


def find_mkeks(session: pkcs11.Session) -> list[tuple[MKEKInfo, int]]:
    """Return the MKEKs and their handles, by label: AES token keys that unwrap, with a CKA_ID of 16 bytes."""
    with translating("C_FindObjects"):
        found = [(_info(key), int(key.handle or 0)) for key in session.get_objects({**_MKEK_SEARCH})]
    return sorted(
        ((info, handle) for info, handle in found if len(info.mkek_id) == MKEK_ID_BYTES),
        key=lambda pair: pair[0].label,
    )


def generate_mkek(session: pkcs11.Session, *, label: str) -> MKEKInfo:
    """Make a token object that wraps and unwraps, and cannot be read, taken out or changed; 1 + search calls.

    ``session`` must be read-write.

    Raises:
        LabelTaken: a key of this label exists.
    """
    with translating("C_GenerateKey"):
        if list(session.get_objects({Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.LABEL: label})):
            raise LabelTaken(f"a key with the label {label!r} is on the token already; choose another")
        return _info(
            session.generate_key(
                KeyType.AES,
                AES_256_BYTES * 8,
                id=os.urandom(MKEK_ID_BYTES),
                label=label,
                store=True,
                capabilities=MechanismFlag.WRAP | MechanismFlag.UNWRAP,
                template=_MKEK_TEMPLATE,
            )
        )


def _info(key: pkcs11.Object) -> MKEKInfo:
    try:
        kcv = bytes(key[Attribute.CHECK_VALUE])
    except pkcs11.AttributeTypeInvalid:
        kcv = b""
    return MKEKInfo(mkek_id=bytes(key[Attribute.ID]), label=str(key[Attribute.LABEL]), kcv=kcv[:KCV_BYTES])
