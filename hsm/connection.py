"""One login to one token: its sessions, its pKEK handles, its MKEKs.  No call is repeated here."""

import logging
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pkcs11

from hsm.config import KEEPERS, HSMConfig, MemberConfig
from hsm.errors import CanaryMismatch, IntegrityFailed, MechanismUnsupported, MKEKNotFound, PoolExhausted
from hsm.faults import CKR_DEVICE_REMOVED, CKR_GENERAL_ERROR, STATE_LOST, CallFailed, Kind, translating
from hsm.handles import Entry, HandleCache
from hsm.keys import AES_256_BYTES, GCM_IV_BYTES, Canary, Encrypted, MKEKInfo, UnwrapTemplate, WrappedKey
from hsm.library import Library
from hsm.login import log_in
from hsm.mkeks import find_mkeks, generate_mkek, import_mkek
from hsm.pool import SessionPool
from hsm.stats import Calls, Tally
from hsm.templates import unwraps_readable

logger = logging.getLogger(__name__)


class Connection:
    """What one successful login gives; a reconnect makes a new one and drops this with all its handles.

    ``keepers`` are the sessions that own the pKEK handles, the first of them the
    session that logged in.  They do nothing else and are never closed while the
    member is up, because their objects, and with the last of them the login,
    would go with them.  ``pool`` does the work.
    """

    def __init__(
        self, library: Library, config: MemberConfig, shared: HSMConfig, *, calls: Calls, tally: Tally
    ) -> None:
        self.token = library.find_token(config)
        self.limits = library.native.token_limits(int(self.token.slot.slot_id))
        self._native = library.native.view(calls)
        self._config, self._profile = config, shared.profile
        self._refuse_missing_mechanisms()
        self.owner = self._open_session()
        self.pool, self.keepers = (
            SessionPool(
                size=size,
                wait_s=shared.patience_s,
                open_session=self._open_session,
                close_session=self._native.close_session,
                keeps=keeps,
                tally=None if keeps else tally,
            )
            for size, keeps in ((shared.pool_size, False), (min(KEEPERS, shared.pool_size), True))
        )
        self.keepers.adopt(self.owner)
        self.handles = HandleCache(
            limit=shared.cache_max_keys,
            wait_s=shared.patience_s,
            destroy=self._destroy_handle,
            tally=tally,
        )
        self._mkeks: dict[bytes, int] = {}
        self._is_away = False  # once a call found the token away no other one tries, and hangs as long
        self._trusted_only: frozenset[bytes] = frozenset()  # MKEKs whose keys only trusted ones may wrap
        try:
            log_in(self._native, self.owner, config)
            self._tell_unbound(self.mkeks())
        except BaseException:
            self._native.close_session(self.owner)
            raise

    @property
    def known_mkeks(self) -> frozenset[bytes]:
        """CKA_IDs of the MKEKs seen at the last search."""
        return frozenset(self._mkeks)

    @property
    def slot(self) -> int:
        """The slot's number, good until the module is initialised again."""
        return int(self.token.slot.slot_id)

    # The request path.

    def encrypt(self, key: WrappedKey, plaintext: bytes, *, aad: bytes) -> Encrypted:
        """Encrypt under a key that has proven itself: 2 calls warm, 5 cold."""
        entry = self._pin(key)
        try:
            if not entry.proven:
                self._prove_entry(entry, key.canary)
            iv = os.urandom(GCM_IV_BYTES)
            ciphertext = self._crypt(self._native.encrypt, entry, iv, aad, plaintext)
        finally:
            self.handles.unpin(entry)
        return Encrypted(iv=iv, ciphertext=ciphertext)

    def decrypt(self, key: WrappedKey, encrypted: Encrypted, *, aad: bytes) -> bytes:
        """Decrypt: 2 calls warm, 3 cold, since a good tag proves the key."""
        entry = self._pin(key)
        try:
            plaintext = self._crypt(self._native.decrypt, entry, encrypted.iv, aad, encrypted.ciphertext)
            entry.proven = True
        finally:
            self.handles.unpin(entry)
        return plaintext

    def create_key(
        self, *, mkek_id: bytes, key_id: str, canary_plaintext: bytes, canary_aad: bytes
    ) -> WrappedKey:
        """Make a pKEK, wrap it, and seal its canary under what the wrapped bytes unwrap to: 6 calls."""
        mkek = self._mkek(mkek_id)
        with self.pool.session() as session, self._forgetting_mkek(mkek_id):
            newborn = self._native.generate(session)
            try:
                with self._noting_away():
                    wrapped = self._native.wrap(session, self._profile.wrap_mechanism, mkek, newborn)
            finally:
                if not self._is_away:
                    self._native.destroy(session, newborn)
        entry = self.handles.load(key_id, lambda: self._unwrap(mkek_id, wrapped))
        try:
            iv = os.urandom(GCM_IV_BYTES)
            ciphertext = self._crypt(self._native.encrypt, entry, iv, canary_aad, canary_plaintext)
            entry.proven = True
        except BaseException:
            self.handles.forget(key_id)  # a repeat, here or on another member, makes another key of this id
            raise
        finally:
            self.handles.unpin(entry)
        canary = Canary(iv=iv, ciphertext=ciphertext, aad=canary_aad, plaintext=canary_plaintext)
        return WrappedKey(key_id=key_id, mkek_id=mkek_id, wrapped=wrapped, canary=canary)

    def random(self, length_bytes: int) -> bytes:
        """Return random bytes of the token: 1 call."""
        with self.pool.session() as session:
            return self._native.random(session, length_bytes)

    # Proofs.

    def prove(self, key: WrappedKey) -> None:
        """Unwrap a key on its own and open its canary on a fresh session.

        Raises:
            CanaryMismatch: the token works, but not with the MKEK that wrapped ``key``.
            MKEKNotFound: the token has no MKEK of this id.
            CallFailed: the token itself is at fault.
        """
        with self._fresh_session() as session:
            try:
                handle = self._unwrap(key.mkek_id, key.wrapped)
                try:
                    plaintext = self._open_canary(session, handle, key.canary)
                finally:
                    self._native.destroy(session, handle)
            except CallFailed as failed:
                if failed.kind not in {Kind.DATA, Kind.AMBIGUOUS}:
                    raise
                self.exercise()
                raise CanaryMismatch(self._mismatch(key)) from failed
        if not secrets.compare_digest(plaintext, key.canary.plaintext):
            raise CanaryMismatch(self._mismatch(key))

    def exercise(self) -> None:
        """Encrypt and decrypt under a throw-away key on a fresh session; needs nothing stored.

        Raises:
            CallFailed: the token does not work.
        """
        iv, plaintext = os.urandom(GCM_IV_BYTES), bytes(AES_256_BYTES)
        with self._fresh_session() as session:
            key = self._native.generate(session, usable=True)
            ciphertext = self._native.encrypt(session, key, iv, b"", plaintext)
            if self._native.decrypt(session, key, iv, b"", ciphertext) != plaintext:
                raise CallFailed(CKR_GENERAL_ERROR, "C_Decrypt")

    def rewrap(self, key: WrappedKey, *, mkek_id: bytes) -> bytes:
        """Return ``key`` wrapped under another MKEK, proven by its canary: 7 calls; no cached handle changes.

        Raises:
            IntegrityFailed: the key does not open its canary; keep the old bytes and have somebody look.
        """
        mkek = self._mkek(mkek_id)
        with self.pool.session() as session, self._forgetting_mkek(mkek_id):
            movable = self._unwrap_in(session, key.mkek_id, key.wrapped, to_move=True)
            try:
                wrapped = self._native.wrap(session, self._profile.wrap_mechanism, mkek, movable)
            finally:
                self._native.destroy(session, movable)
            handle = self._unwrap_in(session, mkek_id, wrapped)
            try:
                plaintext = self._open_canary(session, handle, key.canary)
            finally:
                self._native.destroy(session, handle)
        if not secrets.compare_digest(plaintext, key.canary.plaintext):
            raise IntegrityFailed(f"key {key.key_id} does not open its own canary")
        return wrapped

    def is_alive(self) -> bool:
        """Return whether the token still knows the session that logged in: 1 call."""
        return self._native.has_session(self.owner)

    # Ceremonies: python-pkcs11 finds and makes token objects.

    def mkeks(self) -> tuple[MKEKInfo, ...]:
        """Search the MKEKs; their handles are kept for wrapping and unwrapping."""
        with self._searching() as session:
            found = self._native.calls.run("search", find_mkeks, session, self._native)
        self._mkeks = {info.mkek_id: handle for info, handle in found}
        self._trusted_only = frozenset(
            info.mkek_id for info, _ in found if info.template is UnwrapTemplate.ROTATABLE
        )
        return tuple(info for info, _ in found)

    def generate_mkek(self, *, label: str, template: UnwrapTemplate = UnwrapTemplate.NONE) -> MKEKInfo:
        """Make an MKEK, durable on return.

        Raises:
            LabelTaken: a key of this label exists.
        """
        with self._searching(read_write=True) as session:
            info = generate_mkek(session, self._native, label=label, template=template)
        self.mkeks()
        return info

    def import_mkek(self, value: bytearray, new: MKEKInfo) -> None:
        """Make a key of a known value an MKEK of this token, durable on return.

        Raises:
            LabelTaken: a key of this label exists.
        """
        with self._searching(read_write=True) as session:
            import_mkek(session, self._native, value, new)
        self.mkeks()

    def gives_out(self, key: WrappedKey) -> bool:
        """Return whether the token would unwrap ``key`` so that it may be read: no template forbids it."""
        mkek = self._mkek(key.mkek_id)
        with self._fresh_session() as session:
            return unwraps_readable(self._native, session, mkek, key.wrapped, self._profile.wrap_mechanism)

    def close(self) -> None:
        """Close every session and with them the login; no call may be in flight."""
        self._native.close_all_sessions(self.slot)

    # Steps.

    def _pin(self, key: WrappedKey) -> Entry:
        return self.handles.pin(key.key_id) or self.handles.load(
            key.key_id, lambda: self._unwrap(key.mkek_id, key.wrapped)
        )

    def _crypt(
        self,
        call: Callable[[int, int, bytes, bytes, bytes], bytes],
        entry: Entry,
        *data: *tuple[bytes, bytes, bytes],
    ) -> bytes:
        """Run one of the two-call verbs on a pooled session, with a pinned entry."""
        session = self.pool.take()
        try:
            self._refuse_if_away()
            result = call(session, entry.handle, *data)
        except BaseException as error:
            self.pool.retire(session, error)
            if isinstance(error, CallFailed):
                self._is_away = self._is_away or error.kind is Kind.MEMBER
                if error.kind is Kind.HANDLE:
                    self.handles.lost(entry)
            raise
        self.pool.give(session)
        return result

    def _prove_entry(self, entry: Entry, canary: Canary) -> None:
        opened = self._crypt(self._native.decrypt, entry, canary.iv, canary.aad, canary.ciphertext)
        if not secrets.compare_digest(opened, canary.plaintext):
            raise IntegrityFailed(f"key {entry.key_id} does not open its own canary")
        entry.proven = True

    def _open_canary(self, session: int, handle: int, canary: Canary) -> bytes:
        return self._native.decrypt(session, handle, canary.iv, canary.aad, canary.ciphertext)

    def _unwrap(self, mkek_id: bytes, wrapped: bytes) -> int:
        try:
            with self.keepers.session() as session, self._noting_away():
                return self._unwrap_in(session, mkek_id, wrapped)
        except CallFailed as failed:
            if failed.kind is Kind.SESSION:  # a keeper died, and the keys that it kept with it
                raise CallFailed(STATE_LOST, failed.function) from failed
            raise

    def _unwrap_in(self, session: int, mkek_id: bytes, wrapped: bytes, *, to_move: bool = False) -> int:
        mkek = self._mkek(mkek_id)
        with self._forgetting_mkek(mkek_id):
            return self._native.unwrap(
                *(session, self._profile.wrap_mechanism, mkek, wrapped),
                tell_length=self._profile.unwrap_needs_value_len,
                trusted_only=mkek_id in self._trusted_only,
                to_move=to_move,
            )

    def _mkek(self, mkek_id: bytes) -> int:
        """Return an MKEK's handle, searched at login and again only for an id that is new to us."""
        if mkek_id not in self._mkeks:
            self.mkeks()
        try:
            return self._mkeks[mkek_id]
        except KeyError as error:
            raise MKEKNotFound(
                f"{self._config.name}: no MKEK with CKA_ID {mkek_id.hex()} on the token; "
                "restore or clone it there"
            ) from error

    def _refuse_if_away(self) -> None:
        """Fail at once if another thread found the token away while this one waited."""
        if self._is_away:
            raise CallFailed(CKR_DEVICE_REMOVED, "a call before")

    @contextmanager
    def _noting_away(self) -> Iterator[None]:
        """Fail at once if the token is away, and let others do so once this one finds it away."""
        self._refuse_if_away()
        try:
            yield
        except CallFailed as failed:
            self._is_away = self._is_away or failed.kind is Kind.MEMBER
            raise

    @contextmanager
    def _forgetting_mkek(self, mkek_id: bytes) -> Iterator[None]:
        """Make the next use search the MKEK again if the token no longer knows its handle."""
        try:
            yield
        except CallFailed as failed:
            if failed.kind is Kind.MKEK_HANDLE:
                self._mkeks.pop(mkek_id, None)
            raise

    def _destroy_handle(self, handle: int) -> bool:
        """Destroy an evicted pKEK; a failure costs room on the token, so it is counted, not raised."""
        if self._is_away:
            return False
        try:
            with self.keepers.session() as session, self._noting_away():
                self._native.destroy(session, handle)
        except (CallFailed, PoolExhausted) as failed:
            logger.warning("%s: an evicted key was not destroyed: %s", self._config.name, failed)
            return False
        return True

    def _open_session(self) -> int:
        return _handle_of(
            self._native.calls.run("open_session", self._open, rw=self._profile.read_write_sessions)
        )

    def _open(self, *, rw: bool) -> pkcs11.Session:
        with translating("C_OpenSession"):
            return self.token.open(rw=rw)

    @contextmanager
    def _fresh_session(self) -> Iterator[int]:
        session = self._open_session()
        try:
            yield session
        finally:
            self._native.close_session(session)

    @contextmanager
    def _searching(self, *, read_write: bool = False) -> Iterator[pkcs11.Session]:
        read_write = read_write or self._profile.read_write_sessions
        session = self._native.calls.run("open_session", self._open, rw=read_write)
        try:
            yield session
        finally:
            self._native.close_session(_handle_of(session))

    def _refuse_missing_mechanisms(self) -> None:
        with translating("C_GetMechanismList"):
            offered = {int(mechanism) for mechanism in self.token.slot.get_mechanisms()}
        missing = [number for number in self._profile.required_mechanisms if number not in offered]
        if missing:
            names = ", ".join(mechanism_name(number) for number in missing)
            raise MechanismUnsupported(
                f"{self._config.name}: the token lacks {names}, which profile {self._profile.name!r} needs; "
                "choose another profile or token"
            )

    def _tell_unbound(self, mkeks: tuple[MKEKInfo, ...]) -> None:
        """Say at start what the token does not keep a thief of the PIN from."""
        for mkek in mkeks:
            if mkek.template is UnwrapTemplate.NONE:
                logger.warning(
                    "%s: MKEK %s has no unwrap template: whoever has the PIN can read the keys it wraps",
                    self._config.name,
                    mkek.label,
                )

    def _mismatch(self, key: WrappedKey) -> str:
        return (
            f"{self._config.name}: the MKEK with CKA_ID {key.mkek_id.hex()} does not open its canary: "
            "this token holds another key under that id"
        )


def mechanism_name(number: int) -> str:
    """Return a mechanism's name and number for a person to read."""
    try:
        return f"{pkcs11.Mechanism(number).name} ({number:#x})"
    except ValueError:
        return f"mechanism {number:#x}"


def _handle_of(session: pkcs11.Session) -> int:
    return int(session.handle)  # type: ignore[attr-defined]  # public in the extension, missing in its types
