"""The MKEKs on a token: searched by python-pkcs11, made and imported, outside the request path."""

import os
from ctypes import byref, c_ulong, c_void_p

import pkcs11
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.constants import MechanismFlag
from pkcs11.mechanisms import MGF

from hsm.errors import ImportRefused, LabelTaken
from hsm.faults import CKR_OK, CallFailed, Kind, translating
from hsm.keys import AES_256_BYTES, KCV_BYTES, MKEK_ID_BYTES, MKEKInfo, UnwrapTemplate
from hsm.native import Native, mechanism_of
from hsm.templates import Attributes, read_template, unwrap_template

_C_CREATE_OBJECT, _C_GENERATE_KEY, _C_UNWRAP_KEY = 20, 58, 61  # indices in the function list
_MKEK_SEARCH = {
    Attribute.CLASS: ObjectClass.SECRET_KEY,
    Attribute.KEY_TYPE: KeyType.AES,
    Attribute.TOKEN: True,
    Attribute.UNWRAP: True,
}
_YES, _NO = b"\x01", b"\x00"
_MKEK = (
    (Attribute.CLASS, int(ObjectClass.SECRET_KEY).to_bytes(8, "little")),
    (Attribute.KEY_TYPE, int(KeyType.AES).to_bytes(8, "little")),
    *(
        (kind, _YES)
        for kind in (
            Attribute.TOKEN,
            Attribute.PRIVATE,
            Attribute.SENSITIVE,
            Attribute.WRAP,
            Attribute.UNWRAP,
        )
    ),
    *(
        (kind, _NO)
        for kind in (
            Attribute.EXTRACTABLE,
            Attribute.MODIFIABLE,
            Attribute.ENCRYPT,
            Attribute.DECRYPT,
            Attribute.SIGN,
            Attribute.VERIFY,
            Attribute.DERIVE,
        )
    ),
)
_TRANSPORT_KEY_BITS = 3072  # NIST SP 800-57 part 1, 128 bits of strength, for the minutes of a ceremony


def find_mkeks(session: pkcs11.Session, native: Native) -> list[tuple[MKEKInfo, int]]:
    """Return the MKEKs and their handles, by label: AES token keys that unwrap, with a CKA_ID of 16 bytes."""
    with translating("C_FindObjects"):
        found = [
            (_info(key, session, native), int(key.handle or 0))
            for key in session.get_objects({**_MKEK_SEARCH})
        ]
    return sorted(
        ((info, handle) for info, handle in found if len(info.mkek_id) == MKEK_ID_BYTES),
        key=lambda pair: pair[0].label,
    )


def generate_mkek(
    session: pkcs11.Session, native: Native, *, label: str, template: UnwrapTemplate
) -> MKEKInfo:
    """Make a token object that wraps and unwraps, and cannot be read, taken out or changed; 1 + search calls.

    ``session`` must be read-write.

    Raises:
        LabelTaken: a key of this label exists.
    """
    _refuse_taken(session, label)
    attributes = _attributes(
        label, os.urandom(MKEK_ID_BYTES), template, (Attribute.VALUE_LEN, AES_256_BYTES.to_bytes(8, "little"))
    )
    generate = native.function(_C_GENERATE_KEY, c_ulong, c_void_p, c_void_p, c_ulong, c_void_p)
    handle, mechanism = c_ulong(), mechanism_of(native.profile.generate_mechanism)
    rv = generate(_number(session), byref(mechanism), attributes.array, attributes.count, byref(handle))
    if rv != CKR_OK:
        raise CallFailed(rv, "C_GenerateKey")
    return _made(session, native, label)


def import_mkek(session: pkcs11.Session, native: Native, value: bytearray, new: MKEKInfo) -> None:
    """Make 32 known bytes a token object like a generated MKEK; durable on return.

    Tokens that may not take a key in the clear get it wrapped by RSA-OAEP under a
    key pair that lives in the session for just that.

    Raises:
        LabelTaken: a key of this label exists.
        ImportRefused: the token takes keys neither way.

    Source: PKCS#11 v3.1, C_CreateObject, C_UnwrapKey with CKM_RSA_PKCS_OAEP.
    """
    _refuse_taken(session, new.label)
    create = native.function(_C_CREATE_OBJECT, c_ulong, c_void_p, c_ulong, c_void_p)
    attributes = _attributes(new.label, new.mkek_id, new.template, (Attribute.VALUE, value))
    rv = create(_number(session), attributes.array, attributes.count, byref(c_ulong()))
    if rv == CKR_OK:
        return
    refused = CallFailed(rv, "C_CreateObject")
    if refused.kind not in {Kind.PROGRAMMING, Kind.AMBIGUOUS, Kind.DATA}:
        raise refused
    try:
        _import_wrapped(session, native, value, new)
    except (CallFailed, pkcs11.PKCS11Error) as error:
        raise ImportRefused(
            f"the token takes no key in the clear ({refused}), nor one wrapped by RSA-OAEP ({error}); "
            "clone the key by the vendor's own means"
        ) from error


def _import_wrapped(session: pkcs11.Session, native: Native, value: bytearray, new: MKEKInfo) -> None:
    public, private = session.generate_keypair(
        KeyType.RSA,
        _TRANSPORT_KEY_BITS,
        store=False,
        capabilities=MechanismFlag.WRAP
        | MechanismFlag.UNWRAP
        | MechanismFlag.ENCRYPT
        | MechanismFlag.DECRYPT,
    )
    try:
        numbers = rsa.RSAPublicNumbers(
            int.from_bytes(public[Attribute.PUBLIC_EXPONENT], "big"),
            int.from_bytes(public[Attribute.MODULUS], "big"),
        )
        oaep = padding.OAEP(padding.MGF1(SHA1()), SHA1(), None)  # noqa: S303  # what every token has; OAEP stays sound
        wrapped = numbers.public_key().encrypt(bytes(value), oaep)
        mechanism = mechanism_of(int(Mechanism.RSA_PKCS_OAEP), (int(Mechanism.SHA_1), int(MGF.SHA1), 1, 0, 0))
        # SoftHSM sets more attributes after it unwrapped; sensitive and not extractable stay so all the same
        attributes = _attributes(new.label, new.mkek_id, new.template, without=Attribute.MODIFIABLE)
        unwrap = native.function(
            _C_UNWRAP_KEY, c_ulong, c_void_p, c_ulong, c_void_p, c_ulong, c_void_p, c_ulong, c_void_p
        )
        rv = unwrap(
            *(_number(session), byref(mechanism), int(private.handle or 0), wrapped, len(wrapped)),
            *(attributes.array, attributes.count, byref(c_ulong())),
        )
        if rv != CKR_OK:
            raise CallFailed(rv, "C_UnwrapKey")
    finally:
        private.destroy()
        public.destroy()


def _attributes(
    label: str,
    mkek_id: bytes,
    template: UnwrapTemplate,
    *more: tuple[int, bytes | bytearray],
    without: int | None = None,
) -> Attributes:
    named = ((Attribute.LABEL, label.encode()), (Attribute.ID, mkek_id))
    pairs = ((int(kind), value) for kind, value in (*_MKEK, *named, *more) if kind != without)
    return Attributes(*pairs, *unwrap_template(template))


def _refuse_taken(session: pkcs11.Session, label: str) -> None:
    with translating("C_FindObjects"):
        if list(session.get_objects({Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.LABEL: label})):
            raise LabelTaken(f"a key with the label {label!r} is on the token already; choose another")


def _made(session: pkcs11.Session, native: Native, label: str) -> MKEKInfo:
    with translating("C_FindObjects"):
        return _info(session.get_key(ObjectClass.SECRET_KEY, label=label), session, native)


def _info(key: pkcs11.Object, session: pkcs11.Session, native: Native) -> MKEKInfo:
    try:
        kcv = bytes(key[Attribute.CHECK_VALUE])
    except pkcs11.AttributeTypeInvalid:
        kcv = b""
    return MKEKInfo(
        mkek_id=bytes(key[Attribute.ID]),
        label=str(key[Attribute.LABEL]),
        kcv=kcv[:KCV_BYTES],
        template=read_template(native, _number(session), int(key.handle or 0)),
    )


def _number(session: pkcs11.Session) -> int:
    return int(session.handle)  # type: ignore[attr-defined]  # public in the extension, missing in its types
