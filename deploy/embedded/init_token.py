"""Initialise a token in the only slot of a fresh SoftHSM.  What to do comes as JSON from standard input.

``softhsm2-util`` takes PINs as arguments, where every user of the machine can read
them; a pipe cannot be read.  The calls need no C structure, so ctypes will do.

Source: PKCS#11 v3.1 §5.5 (C_InitToken, C_InitPIN), §5.6 (C_OpenSession, C_Login).
"""

import json
import sys
from collections.abc import Callable
from ctypes import CDLL, byref, c_ulong

CK_TRUE = 1
CKR_OK = 0
CKU_SO = 0  # the security officer, who may set the user's PIN
RW_SERIAL_SESSION = 0x2 | 0x4  # CKF_RW_SESSION, CKF_SERIAL_SESSION
LABEL_BYTES = 32  # padded with blanks


def initialise(module: CDLL, *, label: bytes, so_pin: bytes, pin: bytes) -> None:
    """Give the slot a token called ``label``, and the token its two PINs."""
    slot, slot_count, session = c_ulong(), c_ulong(1), c_ulong()
    call(module.C_Initialize, None)
    call(module.C_GetSlotList, CK_TRUE, byref(slot), byref(slot_count))
    call(module.C_InitToken, slot, so_pin, c_ulong(len(so_pin)), label.ljust(LABEL_BYTES))
    call(module.C_OpenSession, slot, c_ulong(RW_SERIAL_SESSION), None, None, byref(session))
    call(module.C_Login, session, c_ulong(CKU_SO), so_pin, c_ulong(len(so_pin)))
    call(module.C_InitPIN, session, pin, c_ulong(len(pin)))
    call(module.C_Finalize, None)


def call(function: Callable[..., int], *arguments: object) -> None:
    """Call and insist on CKR_OK; the message names the function and never an argument."""
    result = function(*arguments)
    if result != CKR_OK:
        sys.exit(f"{function.__name__} answered 0x{result:08x}")


def main() -> None:
    """Do what standard input asks for; exit code 0 means the token is complete."""
    wanted = json.load(sys.stdin)
    initialise(
        CDLL(wanted["module"]),
        label=wanted["label"].encode(),
        so_pin=wanted["so_pin"].encode(),
        pin=wanted["pin"].encode(),
    )


if __name__ == "__main__":
    main()
