"""What a return code means: the table that every reaction to a failed call starts from."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto

import pkcs11
from pkcs11 import exceptions

CKR_OK = 0x000
CKR_GENERAL_ERROR = 0x005
CKR_DEVICE_REMOVED = 0x032
CKR_SESSION_COUNT = 0x0B1
CKR_USER_ALREADY_LOGGED_IN = 0x100
CKR_BUFFER_TOO_SMALL = 0x150
CKR_CRYPTOKI_NOT_INITIALIZED = 0x190
CKR_CRYPTOKI_ALREADY_INITIALIZED = 0x191

# Two answers of our own, outside the range of CK_RV that a module may use (32 bits).
ODD_LENGTH = 1 << 32  # an output whose length cannot be right
NO_IV = (1 << 32) + 2  # a token that was to make the IV told none: the profile is wrong
STATE_LOST = (1 << 32) + 1  # the token handed out a handle number that it had given to a live key


_OWN_WORDS = {
    ODD_LENGTH: "gave a length that cannot be right",
    NO_IV: "told no IV",
    STATE_LOST: "gave a handle that another key has",
}


class Kind(Enum):
    """What a failed call says about data, session and token; each kind has one reaction in ``member``."""

    DATA = auto()  # this object is at fault: never repeat, never trip
    AMBIGUOUS = auto()  # data or token: the canary decides
    HANDLE = auto()  # the pKEK's object is gone: unwrap again, repeat once
    MKEK_HANDLE = auto()  # the MKEK's object is gone: search again, repeat once
    SESSION = auto()  # drop the session, repeat once on a new one
    LOGIN = auto()  # log in anew under one lock, repeat once
    RESOURCE = auto()  # no room: make some, repeat once
    MEMBER = auto()  # the token is away: trip, probe in the background
    CREDENTIALS = auto()  # wrong or locked PIN: quarantine, never repeat
    PROGRAMMING = auto()  # configuration or bug: fail loudly, trip nobody


_CODES = {
    Kind.DATA: (0x20, 0x21, 0x40, 0x41, 0x110, 0x112, 0xC0, 0xC1),
    Kind.HANDLE: (0x60, 0x82),
    Kind.MKEK_HANDLE: (0xF0, 0x113),
    Kind.SESSION: (0xB0, 0xB3, 0x90, 0x91),
    Kind.LOGIN: (0x101, STATE_LOST),
    Kind.RESOURCE: (0x02, 0x31, CKR_SESSION_COUNT),
    Kind.MEMBER: (0x30, 0x32, 0xE0, 0xE1, 0x03, CKR_CRYPTOKI_NOT_INITIALIZED, 0x200),
    Kind.CREDENTIALS: (0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0x102, 0x103),
    Kind.PROGRAMMING: (
        0x07,
        0x10,
        0x11,
        0x12,
        0x13,
        0x70,
        0x71,
        0xD0,
        0xD1,
        0x54,
        0x63,
        0x68,
        0x69,
        0x6A,
        0x115,
        NO_IV,
    ),
}
_KINDS = {code: kind for kind, codes in _CODES.items() for code in codes}
_MECHANISM_CODES = frozenset({0x70, 0x71, 0x54})


def kind_of(rv: int) -> Kind:
    """Return the kind of a return code; one that we do not know is ambiguous.

    Vendors have network codes of their own (Proteccio 0x81000071); they come
    out as ambiguous, so the canary finds the member away.
    """
    return _KINDS.get(rv, Kind.AMBIGUOUS)


class CallFailed(Exception):
    """One C function answered something other than CKR_OK; ``member`` reacts, nobody above sees it."""

    def __init__(self, rv: int, function: str) -> None:
        super().__init__(f"{function} {_OWN_WORDS.get(rv) or f'answered {rv:#x}'}")
        self.rv = rv
        self.function = function
        self.kind = kind_of(rv)

    @property
    def says_mechanism(self) -> bool:
        """Whether the token does not know a mechanism, its parameter or the function."""
        return self.rv in _MECHANISM_CODES

    @property
    def reads_stored_data(self) -> bool:
        """Whether the failed call was given stored bytes, which may themselves be at fault."""
        return self.function.startswith(("C_Decrypt", "C_Unwrap"))


# python-pkcs11 raises one class per code and keeps no number.
_RV_OF_CLASS: dict[type[exceptions.PKCS11Error], int] = {
    exceptions.HostMemory: 0x02,
    exceptions.SlotIDInvalid: 0x03,
    exceptions.GeneralError: 0x05,
    exceptions.FunctionFailed: 0x06,
    exceptions.ArgumentsBad: 0x07,
    exceptions.DataInvalid: 0x20,
    exceptions.DataLenRange: 0x21,
    exceptions.DeviceError: 0x30,
    exceptions.DeviceMemory: 0x31,
    exceptions.DeviceRemoved: 0x32,
    exceptions.EncryptedDataInvalid: 0x40,
    exceptions.EncryptedDataLenRange: 0x41,
    exceptions.FunctionNotSupported: 0x54,
    exceptions.KeyHandleInvalid: 0x60,
    exceptions.KeyTypeInconsistent: 0x63,
    exceptions.KeyNotWrappable: 0x69,
    exceptions.KeyUnextractable: 0x6A,
    exceptions.MechanismInvalid: 0x70,
    exceptions.MechanismParamInvalid: 0x71,
    exceptions.ObjectHandleInvalid: 0x82,
    exceptions.OperationActive: 0x90,
    exceptions.OperationNotInitialized: 0x91,
    exceptions.PinIncorrect: 0xA0,
    exceptions.PinInvalid: 0xA1,
    exceptions.PinLenRange: 0xA2,
    exceptions.PinExpired: 0xA3,
    exceptions.PinLocked: 0xA4,
    exceptions.SessionClosed: 0xB0,
    exceptions.SessionCount: 0xB1,
    exceptions.SessionHandleInvalid: 0xB3,
    exceptions.SignatureInvalid: 0xC0,
    exceptions.SignatureLenRange: 0xC1,
    exceptions.TemplateIncomplete: 0xD0,
    exceptions.TemplateInconsistent: 0xD1,
    exceptions.TokenNotPresent: 0xE0,
    exceptions.TokenNotRecognised: 0xE1,
    exceptions.UnwrappingKeyHandleInvalid: 0xF0,
    exceptions.UserAlreadyLoggedIn: 0x100,
    exceptions.UserNotLoggedIn: 0x101,
    exceptions.UserPinNotInitialized: 0x102,
    exceptions.WrappedKeyInvalid: 0x110,
    exceptions.WrappedKeyLenRange: 0x112,
    exceptions.WrappingKeyHandleInvalid: 0x113,
    exceptions.WrappingKeyTypeInconsistent: 0x115,
}


def rv_of(error: pkcs11.PKCS11Error) -> int:
    """Return the code behind an exception of python-pkcs11, CKR_GENERAL_ERROR if it keeps it to itself.

    Codes without a class of their own arrive as the base class with text only.
    """
    for cls in type(error).__mro__:
        if cls in _RV_OF_CLASS:
            return _RV_OF_CLASS[cls]
    number = re.search(r"0x([0-9a-fA-F]+)", str(error))
    if number:
        return int(number[1], 16)
    return CKR_CRYPTOKI_NOT_INITIALIZED if "initialized" in str(error) else CKR_GENERAL_ERROR


@contextmanager
def translating(function: str) -> Iterator[None]:
    """Turn what python-pkcs11 raises inside the block into ``CallFailed`` with its number."""
    try:
        yield
    except pkcs11.PKCS11Error as error:
        raise CallFailed(rv_of(error), function) from error
