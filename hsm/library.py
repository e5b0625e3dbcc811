"""Loading modules: with operating-system locking, once per process, and never before a fork."""

import ctypes
import os
import threading
from collections.abc import Callable
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
        self._is_idle: dict[str, Callable[[], bool]] = {}  # by user
        self._lock = threading.Lock()
        self.generation = 0  # of slot numbers and sessions: a finalised module forgets both
        self.pid = os.getpid()

    def attach(self, user: str, *, is_idle: Callable[[], bool]) -> None:
        """Note a member as user and initialise the module if it is not.

        ``is_idle`` tells whether the member has no call inside, and will make none
        before it attaches again.
        """
        with self._lock:
            self._is_idle[user] = is_idle
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
            self._is_idle.pop(user, None)
            if not self._is_idle:
                self._finalize()

    def reset(self, user: str, slot: int | None, *, generation: int) -> None:
        """Make the module forget what it knew for this member; none of the member's calls may be in flight.

        Alone, a member finalises the module, as network clients need after they lost
        their appliance; so it does when all others on the module are idle, since they
        are out of service too.  While another slot works only the sessions on this
        member's ``slot`` are closed, if its number, of ``generation``, still holds.
        """
        with self._lock:
            if all(is_idle() for other, is_idle in self._is_idle.items() if other != user):
                self._finalize()
            elif slot is not None and generation == self.generation:
                self.native.close_all_sessions(slot)

    def find_token(self, wanted: MemberConfig) -> pkcs11.Token:
        """Return the one token of this label or serial; slot numbers move, so they are never asked for.

        Raises:
            TokenNotFound: none or several match.
        """
        if self._lib is None:
            raise CallFailed(CKR_CRYPTOKI_NOT_INITIALIZED, "C_GetSlotList")
        serial = wanted.token_serial.encode() if wanted.token_serial is not None else None
        with translating("C_GetSlotList"):
            slots = self._lib.get_slots(token_present=True)
        tokens, failed = [], None
        for slot in slots:
            try:
                with translating("C_GetTokenInfo"):
                    token = slot.get_token()
            except CallFailed as failure:  # perhaps another member's token, which is away
                failed = failed or failure
                continue
            if wanted.token_label in {None, token.label} and serial in {None, token.serial}:
                tokens.append(token)
        if failed and not tokens:
            raise failed
        if len(tokens) != 1:
            found = "no token" if not tokens else f"{len(tokens)} tokens"
            raise TokenNotFound(f"{wanted.module} shows {found} with {wanted.wanted}; exactly one must match")
        return tokens[0]

    def _finalize(self) -> None:
        self.generation += 1
        rv = self.native.finalize()
        if rv not in {CKR_OK, CKR_CRYPTOKI_NOT_INITIALIZED}:
            raise CallFailed(rv, "C_Finalize")


_loaded: dict[Path, Library] = {}
_loading = threading.Lock()


def loaded_modules() -> tuple[Path, ...]:
    """Return the modules that this process, or the parent that it was forked from, has loaded."""
    return tuple(_loaded)


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
