"""One login to one token: its sessions, its pKEK handles, its MKEKs.  No call is repeated here."""

import logging
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar

import pkcs11

from hsm.config import KEEPERS, HSMConfig, MemberConfig
from hsm.errors import CanaryMismatch, IntegrityFailed, MechanismUnsupported, MKEKNotFound, PoolExhausted
from hsm.faults import CKR_GENERAL_ERROR, ODD_LENGTH, STATE_LOST, CallFailed, Kind, translating
from hsm.handles import Entry, HandleCache
from hsm.ivs import TokenIVs
from hsm.keys import AES_256_BYTES, GCM_IV_BYTES, Canary, Encrypted, MKEKInfo, UnwrapTemplate, WrappedKey
from hsm.library import Library
from hsm.login import log_in
from hsm.mkeks import find_mkeks, generate_mkek, import_mkek
from hsm.pool import SessionPool
from hsm.profiles import IVSource, words_of
from hsm.stats import Calls, Tally
from hsm.templates import unwraps_readable

logger = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")


class Connection:
    """What one successful login gives; a reconnect makes a new one and drops this with all its handles.

    ``keepers`` are the sessions that own the pKEK handles, the first of them the
    session that logged in.  They do nothing else and are never closed while the
    member is up, because their objects, and with the last of them the login,
    would go with them.  ``pool`` does the work.
    """

    def __init__(  # what a member lends to each of its logins
        self,
        library: Library,
        config: MemberConfig,
        shared: HSMConfig,
        *,
        calls: Calls,
        tally: Tally,
        aside: "Callable[[Connection, Callable[[], None]], None]",
    ) -> None:
        self.token = library.find_token(config)
        self.limits = library.native.token_limits(int(self.token.slot.slot_id))
        self._native = library.native.view(calls, shared.profile)
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
            aside=partial(aside, self),
            tally=tally,
        )
        self._ivs = TokenIVs(self.random)
        self._mkeks: dict[bytes, int] = {}
        self._bound: dict[bytes, MKEKInfo] = {}  # MKEKs that have a template
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
            return self._encrypt_under(entry, aad, plaintext)
        finally:
            self.handles.unpin(entry)

    def decrypt(self, key: WrappedKey, encrypted: Encrypted, *, aad: bytes) -> bytes:
        """Decrypt: 2 calls warm, 3 cold, since a good tag proves the key."""
        entry = self._pin(key)
        try:
            plaintext = self._crypt(entry, self._native.decrypt, encrypted.iv, aad, encrypted.ciphertext)
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
            with self._passing(session, newborn):
                wrapped = self._native.wrap(session, self._profile.wrap_mechanism, mkek, newborn)
        entry = self.handles.load(key_id, lambda: self._unwrap(mkek_id, wrapped))
        try:
            sealed = self._encrypt_under(entry, canary_aad, canary_plaintext)
            entry.proven = True
        except BaseException:
            self.handles.forget(key_id)  # a repeat, here or on another member, makes another key of this id
            raise
        finally:
            self.handles.unpin(entry)
        canary = Canary(
            iv=sealed.iv, ciphertext=sealed.ciphertext, aad=canary_aad, plaintext=canary_plaintext
        )
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
                with self._passing(session, handle):
                    plaintext = self._open_canary(session, handle, key.canary)
            except CallFailed as failed:
                if failed.kind not in {Kind.DATA, Kind.AMBIGUOUS}:
                    raise
                self.exercise()
                raise CanaryMismatch(self._mismatch(key)) from failed
        if not secrets.compare_digest(plaintext, key.canary.plaintext):
            raise CanaryMismatch(self._mismatch(key))

    def open_canary(self, key: WrappedKey) -> None:
        """Open a key's canary with its cached handle, as a request would open a payload: 2 calls."""
        self.decrypt(key, Encrypted(iv=key.canary.iv, ciphertext=key.canary.ciphertext), aad=key.canary.aad)

    def exercise(self) -> None:
        """Encrypt and decrypt under a throw-away key on a fresh session; needs nothing stored.

        Raises:
            CallFailed: the token does not work.
        """
        plaintext = bytes(AES_256_BYTES)
        with self._fresh_session() as session:
            key = self._native.generate(session, usable=True)
            sealed = self._encrypt_in(session, key, b"", plaintext)
            if self._native.decrypt(session, key, sealed.iv, b"", sealed.ciphertext) != plaintext:
                raise CallFailed(CKR_GENERAL_ERROR, "C_Decrypt")

    def refuse_wrong_profile(self) -> None:
        """Encrypt and decrypt once as the profile says: only that tells who makes the IVs.

        Raises:
            MechanismUnsupported: the token does it in another way.
            CallFailed: the token does not work.
        """
        try:
            self.exercise()
        except CallFailed as failed:
            if failed.kind is not Kind.PROGRAMMING and failed.rv != ODD_LENGTH:
                raise
            raise MechanismUnsupported(
                f"{self._config.name}: the token does not encrypt as profile {self._profile.name!r} says, "
                f"with iv_source {self._profile.iv_source.value!r} ({failed}); choose another profile, or "
                "override iv_source, internal_iv_bytes or internal_iv_at"
            ) from failed

    def rewrap(self, key: WrappedKey, *, mkek_id: bytes) -> bytes:
        """Return ``key`` wrapped under another MKEK, proven by its canary: 7 calls; no cached handle changes.

        Raises:
            IntegrityFailed: the key does not open its canary; keep the old bytes and have somebody look.
        """
        mkek = self._mkek(mkek_id)
        with self.pool.session() as session, self._forgetting_mkek(mkek_id):
            movable = self._unwrap_in(session, key.mkek_id, key.wrapped, to_move=True)
            with self._passing(session, movable):
                wrapped = self._native.wrap(session, self._profile.wrap_mechanism, mkek, movable)
            handle = self._unwrap_in(session, mkek_id, wrapped)
            with self._passing(session, handle):
                plaintext = self._open_canary(session, handle, key.canary)
        if not secrets.compare_digest(plaintext, key.canary.plaintext):
            raise IntegrityFailed(f"key {key.key_id} does not open its own canary")
        return wrapped

    # Single steps, for who measures them.

    def generate(self) -> None:
        """Make a key and destroy it: 2 calls."""
        with self.pool.session() as session:
            self._native.destroy(session, self._native.generate(session))

    def keep_throw_away_key(self) -> int:
        """Make a key that may be wrapped and return its handle, good until we log out: 1 call."""
        return self._native.generate(self.owner)

    def wrap(self, handle: int, *, mkek_id: bytes) -> bytes:
        """Wrap a key on the token: 1 call."""
        mkek = self._mkek(mkek_id)
        with self.pool.session() as session, self._forgetting_mkek(mkek_id):
            return self._native.wrap(session, self._profile.wrap_mechanism, mkek, handle)

    def unwrap(self, key: WrappedKey) -> None:
        """Unwrap a key beside the cache and destroy it: 2 calls."""
        with self.pool.session() as session:
            self._native.destroy(session, self._unwrap_in(session, key.mkek_id, key.wrapped))

    def is_alive(self) -> bool:
        """Return whether the token still knows the session that logged in: 1 call."""
        return self._native.has_session(self.owner)

    # Ceremonies: python-pkcs11 finds and makes token objects.

    def mkeks(self) -> tuple[MKEKInfo, ...]:
        """Search the MKEKs; their handles are kept for wrapping and unwrapping."""
        with self._searching() as session:
            found = self._native.run("search", find_mkeks, session, self._native)
        self._mkeks = {info.mkek_id: handle for info, handle in found}
        self._bound = {info.mkek_id: info for info, _ in found if info.template is not UnwrapTemplate.NONE}
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

    def tell_unenforced(self, key: WrappedKey) -> None:
        """Say so if the MKEK of ``key`` has a template that the token does not enforce; 3 calls."""
        mkek = self._bound.get(key.mkek_id)
        if mkek is not None and self.gives_out(key):
            logger.warning(
                "%s: the token does not enforce template %s of MKEK %s: "
                "whoever has the PIN can read the keys it wraps",
                *(self._config.name, mkek.template.value, mkek.label),
            )

    def close(self) -> None:
        """Close every session and with them the login; no call may be in flight."""
        self._native.close_all_sessions(self.slot)

    # Steps.

    def _pin(self, key: WrappedKey) -> Entry:
        return self.handles.pin(key.key_id) or self.handles.load(
            key.key_id, lambda: self._unwrap(key.mkek_id, key.wrapped)
        )

    def _encrypt_under(self, entry: Entry, aad: bytes, plaintext: bytes) -> Encrypted:
        iv = self._ivs.take() if self._profile.iv_source is IVSource.HSM else None
        return self._crypt(entry, self._encrypt_in, aad, plaintext, iv)

    def _encrypt_in(
        self, session: int, key: int, aad: bytes, plaintext: bytes, iv: bytes | None = None
    ) -> Encrypted:
        """Encrypt with the IV given, or else one of our own or of the token's, as the profile says."""
        if self._profile.iv_source is IVSource.INTERNAL:
            iv, ciphertext = self._native.encrypt_with_own_iv(session, key, aad, plaintext)
        else:
            iv = iv or os.urandom(GCM_IV_BYTES)
            ciphertext = self._native.encrypt(session, key, iv, aad, plaintext)
        return Encrypted(iv=iv, ciphertext=ciphertext)

    def _crypt(
        self, entry: Entry, call: Callable[Concatenate[int, int, P], T], *data: P.args, **more: P.kwargs
    ) -> T:
        """Run one of the two-call verbs on a pooled session, with a pinned entry."""
        session = self.pool.take()
        try:
            result = call(session, entry.handle, *data, **more)
        except BaseException as error:
            self.pool.retire(session, error)
            if isinstance(error, CallFailed) and error.kind is Kind.HANDLE:
                self.handles.lost(entry)
            raise
        self.pool.give(session)
        return result

    def _prove_entry(self, entry: Entry, canary: Canary) -> None:
        opened = self._crypt(entry, self._native.decrypt, canary.iv, canary.aad, canary.ciphertext)
        if not secrets.compare_digest(opened, canary.plaintext):
            raise IntegrityFailed(f"key {entry.key_id} does not open its own canary")
        entry.proven = True

    def _open_canary(self, session: int, handle: int, canary: Canary) -> bytes:
        return self._native.decrypt(session, handle, canary.iv, canary.aad, canary.ciphertext)

    def _unwrap(self, mkek_id: bytes, wrapped: bytes) -> int:
        try:
            with self.keepers.session() as session:
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

    @contextmanager
    def _passing(self, session: int, handle: int) -> Iterator[None]:
        """Destroy an object after the block, unless the token went away in it."""
        try:
            yield
        finally:
            if not self._native.fuse.is_blown:
                self._native.destroy(session, handle)

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
        if self._native.fuse.is_blown:
            return False
        try:
            with self.keepers.session() as session:
                self._native.destroy(session, handle)
        except (CallFailed, PoolExhausted) as failed:
            logger.warning("%s: an evicted key was not destroyed: %s", self._config.name, failed)
            return False
        return True

    def _open_session(self) -> int:
        return _handle_of(self._native.run("open_session", self._open, rw=self._profile.read_write_sessions))

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
        session = self._native.run("open_session", self._open, rw=read_write)
        try:
            yield session
        finally:
            self._native.close_session(_handle_of(session))

    def _refuse_missing_mechanisms(self) -> None:
        offered = self._native.mechanisms(self.slot)
        lacking = []
        for number, needed in self._profile.uses.items():
            flags = self._native.mechanism_flags(self.slot, number) if number in offered else 0
            if needed & ~flags:
                lacking.append(f"{mechanism_name(number)} to {words_of(needed & ~flags)}")
        if lacking:
            raise MechanismUnsupported(
                f"{self._config.name}: the token lacks {', '.join(lacking)}, which profile "
                f"{self._profile.name!r} needs; choose another profile or token, or override the mechanism"
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
