"""The calls made per request, straight to the module: the only file that knows C structures.

python-pkcs11 asks for every length first (3 calls where 2 do) and hides the
return code.  Here every buffer is sized by us, wrap, unwrap, generate and
destroy are one call each, encrypt and decrypt two.  Each call builds its own
mechanism, so any number of threads may be inside; ctypes releases the GIL.

Source: PKCS#11 v2.40 base specification, CK_FUNCTION_LIST and section 5.
"""

import copy
import ctypes
from collections.abc import Callable
from ctypes import POINTER, Structure, addressof, byref, c_char, c_char_p, c_ubyte, c_ulong, c_void_p
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from hsm.faults import CKR_BUFFER_TOO_SMALL, CKR_DEVICE_REMOVED, CKR_OK, NO_IV, ODD_LENGTH, CallFailed
from hsm.fuse import Fuse
from hsm.keys import AES_256_BYTES, GCM_TAG_BYTES
from hsm.profiles import PROFILES, IVPlace, Profile
from hsm.stats import Calls

P = ParamSpec("P")
T = TypeVar("T")

_CKF_OS_LOCKING_OK = 2
_CKU_USER = 1
_CKO_SECRET_KEY = 4
_CKK_AES = 0x1F
_UNAVAILABLE = c_ulong(-1).value  # CK_UNAVAILABLE_INFORMATION
_FUNCTION_COUNT = 68
_MOST_MECHANISMS = 1024  # asked for at once; tokens offer some 50 to 200
_WRAPPED_CAPACITY_BYTES = 64  # a wrapped 32-byte key takes 40 (KW, KWP) or 48 (CBC-PAD)
_SMALLEST_BUFFER_BYTES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLimits:
    """What a token says that it has room for; None where it does not say, or has no limit.

    Source: PKCS#11 v2.40, CK_TOKEN_INFO.
    """

    sessions: int | None
    read_write_sessions: int | None
    free_private_bytes: int | None
    private_bytes: int | None = None  # free or not


class _FunctionList(Structure):
    _fields_ = (("version", c_ubyte * 2), ("functions", c_void_p * _FUNCTION_COUNT))


class _InitializeArgs(Structure):
    _fields_ = (("mutex_functions", c_void_p * 4), ("flags", c_ulong), ("reserved", c_void_p))


class _SessionInfo(Structure):
    _fields_ = (("slot", c_ulong), ("state", c_ulong), ("flags", c_ulong), ("device_error", c_ulong))


class _TokenInfo(Structure):
    _fields_ = (
        ("texts", c_ubyte * 96),
        ("flags", c_ulong),
        ("max_sessions", c_ulong),
        ("sessions", c_ulong),
        ("max_read_write_sessions", c_ulong),
        ("read_write_sessions", c_ulong),
        ("pin_lengths", c_ulong * 2),
        ("public_memory", c_ulong * 2),
        ("private_memory", c_ulong),
        ("free_private_memory", c_ulong),
        ("versions_and_time", c_ubyte * 24),
    )


class _MechanismInfo(Structure):
    _fields_ = (("shortest_key", c_ulong), ("longest_key", c_ulong), ("flags", c_ulong))


class _Mechanism(Structure):
    _fields_ = (("type", c_ulong), ("parameter", c_void_p), ("parameter_length", c_ulong))


class _GCMParams(Structure):
    _fields_ = (
        ("iv", c_char_p),
        ("iv_length", c_ulong),
        ("iv_bits", c_ulong),
        ("aad", c_char_p),
        ("aad_length", c_ulong),
        ("tag_bits", c_ulong),
    )


class _Attribute(Structure):
    _fields_ = (("type", c_ulong), ("value", c_char_p), ("value_length", c_ulong))


_GCM_PARAMS_BYTES = ctypes.sizeof(_GCMParams)
_GCM_TAG_BITS = GCM_TAG_BYTES * 8

# Index in the function list and C argument types of what we call.
_SIGNATURES: Final[dict[str, tuple[int, tuple[Any, ...]]]] = {  # Any: ctypes' types have no common name
    "C_Initialize": (0, (c_void_p,)),
    "C_Finalize": (1, (c_void_p,)),
    "C_GetTokenInfo": (6, (c_ulong, c_void_p)),
    "C_GetMechanismList": (7, (c_ulong, c_void_p, c_void_p)),
    "C_GetMechanismInfo": (8, (c_ulong, c_ulong, c_void_p)),
    "C_CloseSession": (13, (c_ulong,)),
    "C_CloseAllSessions": (14, (c_ulong,)),
    "C_GetSessionInfo": (15, (c_ulong, c_void_p)),
    "C_Login": (18, (c_ulong, c_ulong, c_char_p, c_ulong)),
    "C_DestroyObject": (22, (c_ulong, c_ulong)),
    "C_EncryptInit": (29, (c_ulong, c_void_p, c_ulong)),
    "C_Encrypt": (30, (c_ulong, c_char_p, c_ulong, c_void_p, c_void_p)),
    "C_DecryptInit": (33, (c_ulong, c_void_p, c_ulong)),
    "C_Decrypt": (34, (c_ulong, c_char_p, c_ulong, c_void_p, c_void_p)),
    "C_GenerateKey": (58, (c_ulong, c_void_p, c_void_p, c_ulong, c_void_p)),
    "C_WrapKey": (60, (c_ulong, c_void_p, c_ulong, c_ulong, c_void_p, c_void_p)),
    "C_UnwrapKey": (61, (c_ulong, c_void_p, c_ulong, c_char_p, c_ulong, c_void_p, c_ulong, c_void_p)),
    "C_GenerateRandom": (64, (c_ulong, c_void_p, c_ulong)),
}

# Attribute numbers, with the packed values that we give them.
_NO, _YES = b"\x00", b"\x01"
_TOKEN, _PRIVATE, _SENSITIVE, _EXTRACTABLE = 0x001, 0x002, 0x103, 0x162
_ENCRYPT, _DECRYPT, _WRAP, _UNWRAP, _SIGN, _VERIFY = 0x104, 0x105, 0x106, 0x107, 0x108, 0x10A
_CLASS = (0x000, _CKO_SECRET_KEY.to_bytes(8, "little"))
_KEY_TYPE = (0x100, _CKK_AES.to_bytes(8, "little"))
_VALUE_LEN = (0x161, AES_256_BYTES.to_bytes(8, "little"))
_WRAP_WITH_TRUSTED = (0x210, _YES)

_AT_BIRTH = (  # lives only until it is wrapped
    *(
        _CLASS,
        _KEY_TYPE,
        _VALUE_LEN,
        (_TOKEN, _NO),
        (_PRIVATE, _YES),
        (_SENSITIVE, _YES),
        (_EXTRACTABLE, _YES),
    ),
    *((_ENCRYPT, _NO), (_DECRYPT, _NO), (_WRAP, _NO), (_UNWRAP, _NO), (_SIGN, _NO), (_VERIFY, _NO)),
)
_TO_MOVE = (  # a stored pKEK on its way from one MKEK to another: unwrapped, wrapped again, destroyed
    *(_CLASS, _KEY_TYPE, (_TOKEN, _NO), (_PRIVATE, _YES), (_SENSITIVE, _YES), (_EXTRACTABLE, _YES)),
    *((_ENCRYPT, _NO), (_DECRYPT, _NO), (_WRAP, _NO), (_UNWRAP, _NO), (_SIGN, _NO), (_VERIFY, _NO)),
)
_IN_USE = (
    *(_CLASS, _KEY_TYPE, (_TOKEN, _NO), (_PRIVATE, _YES), (_SENSITIVE, _YES), (_EXTRACTABLE, _NO)),
    *((_ENCRYPT, _YES), (_DECRYPT, _YES), (_WRAP, _NO), (_UNWRAP, _NO), (_SIGN, _NO), (_VERIFY, _NO)),
)


class _Template:
    """A CK_ATTRIBUTE array that modules only read, and may therefore share between threads."""

    def __init__(self, attributes: tuple[tuple[int, bytes], ...]) -> None:
        rows = [_Attribute(kind, value, len(value)) for kind, value in attributes]
        self.array = (_Attribute * len(rows))(*rows)
        self.count = len(attributes)


# ctypes builds a type per array length and forgets it again, which costs more
# than the call: keep the powers of two.
_BUFFER_TYPES = {1 << n: c_char * (1 << n) for n in range(6, 25)}


def _buffer(size_bytes: int) -> tuple[Any, int]:  # Any: an array type per size
    """Return a buffer for ``size_bytes``, never empty (NULL would ask for the length), and its room."""
    capacity = max(_SMALLEST_BUFFER_BYTES, 1 << (size_bytes - 1).bit_length())
    return (_BUFFER_TYPES.get(capacity) or c_char * capacity)(), capacity


def _metered(
    verb: str,
) -> Callable[[Callable[Concatenate["Native", P], T]], Callable[Concatenate["Native", P], T]]:
    """Time a method and count it among the calls of the member that makes it, unless the token is away."""

    def decorate(method: Callable[Concatenate["Native", P], T]) -> Callable[Concatenate["Native", P], T]:
        @wraps(method)
        def run(self: "Native", /, *args: P.args, **kwargs: P.kwargs) -> T:
            return self.run(verb, method, self, *args, **kwargs)

        return run

    return decorate


def mechanism_of(number: int, parameter: tuple[int, ...] = ()) -> Structure:
    """Return a CK_MECHANISM whose parameter is a structure of machine words, or nothing."""
    words = (c_ulong * len(parameter))(*parameter)
    mechanism = _Mechanism(number, addressof(words) if parameter else None, ctypes.sizeof(words))
    mechanism.kept = words  # its memory must live as long
    return mechanism


class Native:
    """One module's functions, numbers in and bytes out; every answer but CKR_OK raises ``CallFailed``.

    ``calls`` counts what goes through here, ``fuse`` lets nobody in once the token was found away,
    ``profile`` has the mechanisms' numbers; each login has a view of its own.
    """

    def __init__(self, module: Path) -> None:
        self._library = ctypes.CDLL(str(module))  # kept: the module must never be unloaded
        get_list = self._library.C_GetFunctionList
        get_list.argtypes, get_list.restype = (c_void_p,), c_ulong
        table = POINTER(_FunctionList)()
        _check(get_list(byref(table)), "C_GetFunctionList")
        self._table = table
        bound = {
            name: ctypes.CFUNCTYPE(c_ulong, *arguments)(table.contents.functions[index])
            for name, (index, arguments) in _SIGNATURES.items()
        }
        self._functions = bound
        self._encrypt_init, self._encrypt = bound["C_EncryptInit"], bound["C_Encrypt"]
        self._decrypt_init, self._decrypt = bound["C_DecryptInit"], bound["C_Decrypt"]
        self.calls, self.fuse = Calls(), Fuse()
        self.profile = PROFILES["softhsm"]
        self._birth = _Template(_AT_BIRTH)
        self._in_use = {False: _Template(_IN_USE), True: _Template((*_IN_USE, _VALUE_LEN))}
        self._unwrapped = {
            (to_move, tells, trusted): _Template(
                (
                    *(_TO_MOVE if to_move else _IN_USE),
                    *((_VALUE_LEN,) if tells else ()),
                    *((_WRAP_WITH_TRUSTED,) if trusted else ()),
                )
            )
            for to_move in (False, True)
            for tells in (False, True)
            for trusted in (False, True)
        }

    def function(self, index: int, *arguments: Any) -> Any:  # Any: ctypes' types have no common name
        """Return one more function of the list, for ceremonies; its answer comes back as it is."""
        return ctypes.CFUNCTYPE(c_ulong, *arguments)(self._table.contents.functions[index])

    def view(self, calls: Calls, profile: Profile) -> "Native":
        """Return the same functions for one login to a token of ``profile``, counted in ``calls``."""
        mine = copy.copy(self)
        mine.calls, mine.fuse, mine.profile = calls, Fuse(), profile
        return mine

    def run(self, verb: str, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what ``work`` returns: a call of this login, whoever makes it, timed and counted.

        Raises:
            CallFailed: the token was found away before; nothing was called.
        """
        self.fuse.refuse_if_blown()
        try:
            return self.calls.run(verb, work, *args, **kwargs)
        except CallFailed as failed:
            self.fuse.note(failed)
            raise

    def initialize(self) -> int:
        """Initialise the module for threads that the operating system locks; returns the code as it came."""
        args = _InitializeArgs(flags=_CKF_OS_LOCKING_OK)
        return int(self._functions["C_Initialize"](byref(args)))

    def finalize(self) -> int:
        """Finalise the module; no call may be in flight.  Returns the code as it came."""
        return int(self._functions["C_Finalize"](None))

    @_metered("login")
    def login(self, session: int, pin: bytes) -> int:
        """Log the whole process in; returns the code as it came, since each one means something else."""
        return int(self._functions["C_Login"](session, _CKU_USER, pin, len(pin)))

    def close_session(self, session: int) -> int:
        """Close a session and the objects made in it; returns the code as it came.

        A token that is away is not asked: it may hang once more, and forgets the session by itself.
        """
        if self.fuse.is_blown:
            return CKR_DEVICE_REMOVED
        return self.calls.run("close_session", self._close_session, session)

    def _close_session(self, session: int) -> int:
        return int(self._functions["C_CloseSession"](session))

    def token_limits(self, slot: int) -> TokenLimits:
        """Return how many sessions and how much memory the token in a slot has; 1 call."""
        info = _TokenInfo()
        _check(self._functions["C_GetTokenInfo"](slot, byref(info)), "C_GetTokenInfo")
        return TokenLimits(
            sessions=_known(info.max_sessions),
            read_write_sessions=_known(info.max_read_write_sessions),
            free_private_bytes=_known(info.free_private_memory),
            private_bytes=_known(info.private_memory),
        )

    def mechanisms(self, slot: int) -> frozenset[int]:
        """Return the numbers of the mechanisms that the token in a slot offers; 1 call, 2 for very many."""
        room, count = _MOST_MECHANISMS, c_ulong(_MOST_MECHANISMS)
        get = self._functions["C_GetMechanismList"]
        offered = (c_ulong * room)()
        rv = get(slot, offered, byref(count))
        if rv == CKR_BUFFER_TOO_SMALL and room < count.value < 1 << 16:
            room = count.value
            offered = (c_ulong * room)()
            rv = get(slot, offered, byref(count))
        _check(rv, "C_GetMechanismList")
        return frozenset(offered[: min(count.value, room)])

    def mechanism_flags(self, slot: int, mechanism: int) -> int:
        """Return what a token lets one do with a mechanism, as flags of CK_MECHANISM_INFO; 1 call."""
        info = _MechanismInfo()
        rv = self._functions["C_GetMechanismInfo"](slot, mechanism, byref(info))
        _check(rv, "C_GetMechanismInfo")
        return int(info.flags)

    def close_all_sessions(self, slot: int) -> int:
        """Close every session that this process has on a slot; returns the code as it came."""
        return int(self._functions["C_CloseAllSessions"](slot))

    @_metered("session_info")
    def has_session(self, session: int) -> bool:
        """Return whether the token still knows the session; 1 call."""
        return int(self._functions["C_GetSessionInfo"](session, byref(_SessionInfo()))) == CKR_OK

    @_metered("encrypt")
    def encrypt(self, session: int, key: int, iv: bytes, aad: bytes, plaintext: bytes) -> bytes:
        """Return the ciphertext followed by the 16-byte tag, AES-GCM; 2 calls.

        After any failure the session may still be inside the operation: close it.
        """
        size = len(plaintext)
        params = _GCMParams(iv, len(iv), len(iv) * 8, aad or None, len(aad), _GCM_TAG_BITS)
        out, length = self._encrypted(session, key, params, plaintext, size + GCM_TAG_BYTES)
        return ctypes.string_at(out, length)

    @_metered("encrypt")
    def encrypt_with_own_iv(
        self, session: int, key: int, aad: bytes, plaintext: bytes
    ) -> tuple[bytes, bytes]:
        """Return the IV that the token made, and the ciphertext followed by its tag, AES-GCM; 2 calls.

        After any failure the session may still be inside the operation: close it.

        Source: Thales Luna 7, CKM_AES_GCM in FIPS mode; AWS CloudHSM Client SDK 5, CKM_AES_GCM.
        """
        size, iv_bytes = len(plaintext) + GCM_TAG_BYTES, self.profile.internal_iv_bytes
        if self.profile.internal_iv_at is IVPlace.END:
            params = _GCMParams(None, 0, 0, aad or None, len(aad), _GCM_TAG_BITS)
            out, _ = self._encrypted(session, key, params, plaintext, size + iv_bytes)
            return ctypes.string_at(addressof(out) + size, iv_bytes), ctypes.string_at(out, size)
        room = (c_char * iv_bytes)()
        params = _GCMParams(
            ctypes.cast(room, c_char_p), iv_bytes, iv_bytes * 8, aad or None, len(aad), _GCM_TAG_BITS
        )
        out, _ = self._encrypted(session, key, params, plaintext, size)
        iv = ctypes.string_at(room, iv_bytes)
        if not any(iv):
            raise CallFailed(NO_IV, "C_Encrypt")
        return iv, ctypes.string_at(out, size)

    def _encrypted(
        self, session: int, key: int, params: _GCMParams, plaintext: bytes, wanted_bytes: int
    ) -> tuple[Any, int]:  # Any: an array type per size
        mechanism = _Mechanism(self.profile.encrypt_mechanism, addressof(params), _GCM_PARAMS_BYTES)
        rv = self._encrypt_init(session, byref(mechanism), key)
        if rv:
            raise CallFailed(rv, "C_EncryptInit")
        out, capacity = _buffer(wanted_bytes)
        length = c_ulong(capacity)
        rv = self._encrypt(session, plaintext, len(plaintext), out, byref(length))
        if rv:
            raise CallFailed(rv, "C_Encrypt")
        if length.value != wanted_bytes:
            raise CallFailed(ODD_LENGTH, "C_Encrypt")
        return out, length.value

    @_metered("decrypt")
    def decrypt(self, session: int, key: int, iv: bytes, aad: bytes, ciphertext: bytes) -> bytes:
        """Return the plaintext of a ciphertext followed by its 16-byte tag, AES-GCM; 2 calls.

        After any failure the session may still be inside the operation: close it.
        """
        size = len(ciphertext)
        params = _GCMParams(iv, len(iv), len(iv) * 8, aad or None, len(aad), _GCM_TAG_BITS)
        mechanism = _Mechanism(self.profile.encrypt_mechanism, addressof(params), _GCM_PARAMS_BYTES)
        rv = self._decrypt_init(session, byref(mechanism), key)
        if rv:
            raise CallFailed(rv, "C_DecryptInit")
        out, capacity = _buffer(size)
        length = c_ulong(capacity)
        rv = self._decrypt(session, ciphertext, size, out, byref(length))
        if rv:
            raise CallFailed(rv, "C_Decrypt")
        if length.value != size - GCM_TAG_BYTES:
            raise CallFailed(ODD_LENGTH, "C_Decrypt")
        return ctypes.string_at(out, length.value)

    @_metered("generate")
    def generate(self, session: int, *, usable: bool = False) -> int:
        """Return the handle of a new AES-256 session object; 1 call.

        It can be wrapped and nothing else, or encrypt and decrypt and nothing else if ``usable``.
        """
        template = self._in_use[True] if usable else self._birth
        mechanism, handle = _Mechanism(self.profile.generate_mechanism, None, 0), c_ulong()
        rv = self._functions["C_GenerateKey"](
            session, byref(mechanism), template.array, template.count, byref(handle)
        )
        _check(rv, "C_GenerateKey")
        return handle.value

    @_metered("wrap")
    def wrap(self, session: int, mechanism_type: int, mkek: int, key: int) -> bytes:
        """Return ``key`` wrapped under ``mkek``; 1 call, 40 bytes by AES key wrap (RFC 3394)."""
        mechanism = _Mechanism(mechanism_type, None, 0)
        out, _ = _buffer(_WRAPPED_CAPACITY_BYTES)
        length = c_ulong(_WRAPPED_CAPACITY_BYTES)
        rv = self._functions["C_WrapKey"](session, byref(mechanism), mkek, key, out, byref(length))
        _check(rv, "C_WrapKey")
        if not AES_256_BYTES < length.value <= _WRAPPED_CAPACITY_BYTES:
            raise CallFailed(ODD_LENGTH, "C_WrapKey")
        return ctypes.string_at(out, length.value)

    @_metered("unwrap")
    def unwrap(  # noqa: PLR0913  # as many as C_UnwrapKey
        self,
        session: int,
        mechanism_type: int,
        mkek: int,
        wrapped: bytes,
        *,
        tell_length: bool,
        trusted_only: bool = False,
        to_move: bool = False,
    ) -> int:
        """Return the handle of an unwrapped session object, which only encrypts and decrypts; 1 call.

        It cannot be extracted and lives until ``session`` closes.  ``trusted_only`` says what an
        MKEK with such a template demands: the key may only leave wrapped by a trusted one.  With
        ``to_move`` the object can be wrapped, and nothing else.
        """
        template = self._unwrapped[to_move, tell_length, trusted_only]
        mechanism, handle = _Mechanism(mechanism_type, None, 0), c_ulong()
        rv = self._functions["C_UnwrapKey"](
            *(session, byref(mechanism), mkek, wrapped, len(wrapped)),
            *(template.array, template.count, byref(handle)),
        )
        _check(rv, "C_UnwrapKey")
        return handle.value

    @_metered("destroy")
    def destroy(self, session: int, handle: int) -> None:
        """Destroy an object; 1 call."""
        _check(self._functions["C_DestroyObject"](session, handle), "C_DestroyObject")

    @_metered("random")
    def random(self, session: int, length_bytes: int) -> bytes:
        """Return random bytes made by the token; 1 call."""
        out, _ = _buffer(length_bytes)
        _check(self._functions["C_GenerateRandom"](session, out, length_bytes), "C_GenerateRandom")
        return ctypes.string_at(out, length_bytes)


def _known(number: int) -> int | None:
    """A limit as a token tells it: neither unavailable (all ones) nor endless (0)."""
    return None if number in {0, _UNAVAILABLE} else number


def _check(rv: int, function: str) -> None:
    if rv != CKR_OK:
        raise CallFailed(rv, function)
