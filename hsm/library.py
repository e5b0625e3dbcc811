"""Loading modules: with operating-system locking, once per process, and never before a fork."""

import ctypes
import os
import threading
from pathlib import Path

import pkcs11
from pkcs11 import _pkcs11

from hsm.config import MemberConfig
from hsm.errors import ConfigInvalid, ForkedHSM, TokenNotFound
from hsm.faults import (
    CKR_CRYPTOKI_ALREADY_INITIALIZED,
    CKR_CRYPTOKI_NOT_INITIALIZED,
    CKR_OK,
    CallFailed,
    translating,
)
from hsm.native import Native


class LockingLib(_pkcs11.lib):
    """python-pkcs11's module object, initialised for threads.

    Its own ``initialize`` passes NULL ("I use no threads") and then releases the
    GIL around every call: two threads crash SoftHSM.  ``initialized`` stays false,
    so python-pkcs11 never finalises; ``Library`` does.

    Source: python-pkcs11 0.10.1, ``lib.initialize``; PKCS#11 v3.1, C_Initialize.
    """

    def __init__(self, module: str) -> None:
        self._native = Native(Path(module))
        super().__init__(module)

    def initialize(self) -> None:
        """Pass CKF_OS_LOCKING_OK; a module that is initialised already is fine."""
        rv = self._native.initialize()
        if rv not in {CKR_OK, CKR_CRYPTOKI_ALREADY_INITIALIZED}:
            raise CallFailed(rv, "C_Initialize")


class Library:
    """One loaded module, kept until the process ends: unloading one under its threads would crash them."""

    def __init__(self, module: Path) -> None:
        self.native = Native(module)
        self._module = module
        self._lib: LockingLib | None = None
        self._users: set[str] = set()
        self._lock = threading.Lock()
        self.pid = os.getpid()

    def attach(self, user: str) -> None:
        """Note a member as user and initialise the module if it is not."""
        with self._lock:
            self._users.add(user)
            if self._lib is None:
                with translating("C_Initialize"):
                    self._lib = LockingLib(str(self._module))
                # One reference that even the interpreter's end does not take: deallocation unloads.
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._lib))
            else:
                self._lib.initialize()

    def detach(self, user: str) -> None:
        """Forget a member and finalise the module after the last one; no call may be in flight."""
        with self._lock:
            self._users.discard(user)
            if not self._users:
                self._finalize()

    def reset(self, user: str, slot: int | None) -> None:
        """Make the module forget what it knew for this member; none of the member's calls may be in flight.

        Alone, a member finalises and initialises the module, as network clients
        need after they lost their appliance.  Where another member uses the same
        module only this member's sessions are closed.
        """
        with self._lock:
            if self._users <= {user}:
                self._finalize()
            elif slot is not None:
                self.native.close_all_sessions(slot)

    def find_token(self, wanted: MemberConfig) -> pkcs11.Token:
        """Return the one token of this label or serial; slot numbers move, so they are never asked for.

        Raises:
            TokenNotFound: none or several match.
        """
        if self._lib is None:
            raise CallFailed(CKR_CRYPTOKI_NOT_INITIALIZED, "C_GetSlotList")
        serial = wanted.token_serial.encode() if wanted.token_serial is not None else None
        with translating("C_GetTokenInfo"):
            tokens = list(self._lib.get_tokens(token_label=wanted.token_label, token_serial=serial))
        if len(tokens) != 1:
            found = "no token" if not tokens else f"{len(tokens)} tokens"
            raise TokenNotFound(f"{wanted.module} shows {found} with {wanted.wanted}; exactly one must match")
        return tokens[0]

    def _finalize(self) -> None:
        rv = self.native.finalize()
        if rv not in {CKR_OK, CKR_CRYPTOKI_NOT_INITIALIZED}:
            raise CallFailed(rv, "C_Finalize")


_loaded: dict[Path, Library] = {}
_loading = threading.Lock()


def open_library(module: Path) -> Library:
    """Return the process's one ``Library`` of a module, loaded on first use.

    Raises:
        ForkedHSM: the module was loaded by the parent of this process.
        ConfigInvalid: the file cannot be loaded or is no PKCS#11 module.
    """
    with _loading:
        library = _loaded.get(module)
        if library is None:
            try:
                library = Library(module)
            except (OSError, AttributeError) as error:
                raise ConfigInvalid(
                    f"{module} cannot be loaded as a PKCS#11 module ({error}); install it or mend `module`"
                ) from error
            _loaded[module] = library
    if library.pid != os.getpid():
        raise ForkedHSM(
            f"{module} was loaded before fork, by process {library.pid}: "
            "load it in the worker, not in its parent"
        )
    return library
