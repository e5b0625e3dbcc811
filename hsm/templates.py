"""What an MKEK lets be done with the keys it unwraps: CKA_UNWRAP_TEMPLATE, packed, read and tried.

python-pkcs11 has no packer for attributes that hold attributes.  A token that knows the attribute refuses
to unwrap a key with fewer restrictions; one that does not must be watched by people instead.

Source: PKCS#11 v3.1, section 4.9 (CKA_UNWRAP_TEMPLATE), 4.10 (CKA_WRAP_WITH_TRUSTED, CKA_TRUSTED).
"""

import ctypes
from ctypes import Structure, byref, c_ulong, c_void_p
from typing import Any

from hsm.faults import CKR_OK
from hsm.keys import UnwrapTemplate
from hsm.native import Native, mechanism_of

_C_GET_ATTRIBUTE_VALUE, _C_UNWRAP_KEY = 24, 61  # indices in the function list
_YES, _NO = b"\x01", b"\x00"
_SENSITIVE, _EXTRACTABLE, _WRAP_WITH_TRUSTED = 0x103, 0x162, 0x210
CKA_UNWRAP_TEMPLATE = 0x40000212
_UNAVAILABLE = c_ulong(-1).value  # CK_UNAVAILABLE_INFORMATION
_MOST_ATTRIBUTES, _LONGEST_VALUE_BYTES = 32, 256


_ATTRIBUTES: dict[UnwrapTemplate, tuple[tuple[int, bytes], ...]] = {
    UnwrapTemplate.NONE: (),
    UnwrapTemplate.ROTATABLE: ((_SENSITIVE, _YES), (_WRAP_WITH_TRUSTED, _YES)),
    UnwrapTemplate.STRICT: ((_SENSITIVE, _YES), (_EXTRACTABLE, _NO)),
}


class Attribute(Structure):
    """A CK_ATTRIBUTE whose value is any block of memory."""

    _fields_ = (("type", c_ulong), ("value", c_void_p), ("value_length", c_ulong))


class Attributes:
    """A CK_ATTRIBUTE array and the memory that it points to, which lives as long as this."""

    def __init__(self, *pairs: "tuple[int, bytes | bytearray | Attributes]") -> None:
        self._kept: list[Any] = []  # Any: ctypes' array types have no common name
        self.array = (Attribute * len(pairs))(*(self._row(kind, value) for kind, value in pairs))
        self.count = len(pairs)

    def _row(self, kind: int, value: "bytes | bytearray | Attributes") -> Attribute:
        if isinstance(value, Attributes):
            self._kept.append(value)
            return Attribute(kind, ctypes.addressof(value.array), ctypes.sizeof(value.array))
        memory = (ctypes.c_char * len(value)).from_buffer(
            value if isinstance(value, bytearray) else bytearray(value)
        )
        self._kept.append(memory)
        return Attribute(kind, ctypes.addressof(memory), len(value))


def unwrap_template(wanted: UnwrapTemplate) -> "tuple[tuple[int, Attributes], ...]":
    """Return the attribute that gives an MKEK this template; nothing for ``NONE``."""
    attributes = _ATTRIBUTES[wanted]
    return ((CKA_UNWRAP_TEMPLATE, Attributes(*attributes)),) if attributes else ()


def read_template(native: Native, session: int, handle: int) -> UnwrapTemplate:
    """Return the template of an MKEK as the token tells it: 1 call without one, 3 with.

    A token that does not know the attribute has none to tell.
    """
    get = native.function(_C_GET_ATTRIBUTE_VALUE, c_ulong, c_ulong, c_void_p, c_ulong)
    asked = Attribute(CKA_UNWRAP_TEMPLATE, None, 0)
    rv = get(session, handle, byref(asked), 1)
    count = 0 if asked.value_length == _UNAVAILABLE else asked.value_length // ctypes.sizeof(Attribute)
    if rv != CKR_OK or not 0 < count <= _MOST_ATTRIBUTES:
        return UnwrapTemplate.NONE
    inner = (Attribute * count)()  # first which attributes and how long, then their values
    asked = Attribute(CKA_UNWRAP_TEMPLATE, ctypes.addressof(inner), ctypes.sizeof(inner))
    if get(session, handle, byref(asked), 1) != CKR_OK:
        return UnwrapTemplate.NONE
    values = [ctypes.create_string_buffer(min(row.value_length, _LONGEST_VALUE_BYTES)) for row in inner]
    for row, value in zip(inner, values, strict=True):
        row.value, row.value_length = ctypes.addressof(value), len(value)
    if get(session, handle, byref(asked), 1) != CKR_OK:
        return UnwrapTemplate.NONE
    found = {(row.type, value.raw) for row, value in zip(inner, values, strict=True)}
    for template in (UnwrapTemplate.STRICT, UnwrapTemplate.ROTATABLE):
        if found >= {*_ATTRIBUTES[template]}:
            return template
    return UnwrapTemplate.NONE


def unwraps_readable(native: Native, session: int, mkek: int, wrapped: bytes, wrap_mechanism: int) -> bool:
    """Return whether the token unwraps a key that may be read, as a thief with the PIN would ask for.

    The key is destroyed at once.  A token that enforces an MKEK's template refuses.
    """
    unwrap = native.function(
        _C_UNWRAP_KEY, c_ulong, c_void_p, c_ulong, c_void_p, c_ulong, c_void_p, c_ulong, c_void_p
    )
    asked = Attributes(
        (0x000, (4).to_bytes(8, "little")),  # CKA_CLASS: CKO_SECRET_KEY
        (0x100, (0x1F).to_bytes(8, "little")),  # CKA_KEY_TYPE: CKK_AES
        (0x001, _NO),  # CKA_TOKEN
        (_SENSITIVE, _NO),
        (_EXTRACTABLE, _YES),
    )
    handle, mechanism = c_ulong(), mechanism_of(wrap_mechanism)
    rv = unwrap(
        session, byref(mechanism), mkek, wrapped, len(wrapped), asked.array, asked.count, byref(handle)
    )
    if rv != CKR_OK:
        return False
    native.destroy(session, handle.value)
    return True
