"""Seal and open payloads, make project keys, generate and activate MKEKs."""

import threading

import structlog
from django.db import IntegrityError

from hsm.client import HSM
from hsm.keys import Encrypted, MKEKInfo
from hsm.provider import hsm
from keepsite import audit, writes
from keepsite.errors import Conflict, KeyMaterialError
from keepsite.ids import new_id
from keepsite.keyring import canaries
from keepsite.keyring.errors import NoCurrentMKEK, UnknownFormat, translating
from keepsite.keyring.models import MKEK, ProjectKEK
from keepsite.keyring.querysets import active_pkek, current_mkek, serving_mkeks
from keepsite.keyring.sealed import Plaintext, SealContext, Sealed
from keepsite.projects.services import ensure_project

log = structlog.get_logger(__name__)

SEALED_FORMAT = 1


def sealing_key(project_id: str) -> ProjectKEK:
    """The active pKEK of a project, by its external id; made now if it has none.

    One SQL statement when it is there.  ``pkek.project`` and ``pkek.mkek`` are loaded.

    Raises:
        Unavailable: the pKEK had to be made and no token could serve, or there is no MKEK.
    """
    return active_pkek(project_id) or _create_pkek(project_id)


def seal(plaintext: Plaintext, *, pkek: ProjectKEK, context: SealContext) -> Sealed:
    """Seal ``plaintext`` for exactly this context; two PKCS#11 calls with a warm handle cache.

    Nothing is written.

    Raises:
        Unavailable: no token could serve.
        KeyMaterialError: the pKEK does not open; an operator must look.
    """
    with translating("seal", pkek_id=pkek.id, secret_id=context.secret_id):
        encrypted = _hsm(pkek.mkek).encrypt(pkek.wrapped_key, plaintext.reveal(), aad=context.aad(pkek.id))
    return Sealed(
        format=SEALED_FORMAT,
        pkek_id=pkek.id,
        iv=encrypted.iv,
        ciphertext=encrypted.ciphertext,
        size_bytes=len(plaintext),
    )


def open_sealed(sealed: Sealed, *, pkek: ProjectKEK, context: SealContext) -> Plaintext:
    """Open what ``seal`` sealed for exactly this context.

    ``pkek`` is the row that ``sealed.pkek_id`` names, with its project and MKEK loaded.

    Raises:
        KeyMaterialError: it was sealed for another secret, project or version, or altered.
        Unavailable: no token could serve.
    """
    if sealed.format != SEALED_FORMAT:
        log.critical("keyring.unknown_format", format=sealed.format, secret_id=context.secret_id)
        raise UnknownFormat
    if sealed.pkek_id != pkek.id or pkek.state == ProjectKEK.State.RETIRED:
        log.critical("keyring.wrong_pkek", pkek_id=pkek.id, secret_id=context.secret_id)
        raise KeyMaterialError
    encrypted = Encrypted(iv=sealed.iv, ciphertext=sealed.ciphertext)
    with translating("open", pkek_id=pkek.id, secret_id=context.secret_id):
        return Plaintext(_hsm(pkek.mkek).decrypt(pkek.wrapped_key, encrypted, aad=context.aad(pkek.id)))


def random_key(length_bytes: int) -> Plaintext:
    """A fresh symmetric key from the token's generator; one PKCS#11 call.

    Source: PKCS#11 v3.1 §5.20.2 (C_GenerateRandom).
    """
    with translating("random"):
        return Plaintext(_hsm().random(length_bytes))


def prove_token() -> None:
    """Log in to the token and have it open the canary of every MKEK in service.

    Raises:
        NoCurrentMKEK: there is none yet.
        Unavailable: no token could serve; the cause says why.
        KeyMaterialError: the token lacks an MKEK.
    """
    current = current_mkek()
    if current is None:
        raise NoCurrentMKEK
    with translating("prove_token"):
        _hsm(current).start()


def generate_mkek(*, label: str, actor: audit.Actor) -> MKEK:
    """Make an MKEK on the token and its row, state pending: it wraps nothing yet.

    Raises:
        Conflict: a key or a row with that label exists.
        Unavailable: no token could serve.
    """
    if MKEK.objects.filter(label=label).exists():
        raise Conflict(f"There is an MKEK labelled {label!r} already. Choose another label.")
    with translating("generate_mkek", label=label):
        token = hsm()
        if any(found.label == label for found in token.mkeks()):
            raise Conflict(
                f"The token holds a key labelled {label!r} that no row knows. Choose another label."
            )
        made = token.generate_mkek(label=label)
        mkek = _mkek_row(token, made)

    writes.commit(lambda: mkek.save(force_insert=True), committed=MKEK.objects.filter(id=mkek.id).exists)
    audit.record("mkek.generated", actor=actor, subject=mkek)
    return mkek


def activate_mkek(mkek: MKEK, *, actor: audit.Actor) -> None:
    """From now on ``mkek`` wraps new pKEKs; the current one becomes previous.

    Raises:
        Conflict: it is not pending.
    """

    def switch() -> None:
        MKEK.objects.filter(state=MKEK.State.CURRENT).exclude(id=mkek.id).update(
            state=MKEK.State.PREVIOUS, current_marker=None
        )
        moved = MKEK.objects.filter(id=mkek.id, state__in=[MKEK.State.PENDING, MKEK.State.CURRENT]).update(
            state=MKEK.State.CURRENT, current_marker=True
        )
        if not moved:
            raise Conflict(f"{mkek.label} is not pending, so it cannot be activated.")

    writes.commit(switch, committed=MKEK.objects.filter(id=mkek.id, current_marker=True).exists)
    audit.record("mkek.activated", actor=actor, subject=mkek)
    mkek.refresh_from_db()


def _create_pkek(external_project_id: str) -> ProjectKEK:
    """The project's first pKEK; of several callers at once one wins and all use its row."""
    project = ensure_project(external_project_id)
    mkek = current_mkek()
    if mkek is None:
        log.critical("keyring.no_current_mkek")
        raise NoCurrentMKEK
    pkek = ProjectKEK(id=new_id(), project=project, mkek=mkek)
    with translating("create_pkek", pkek_id=pkek.id):
        token = _hsm(mkek)
        key = token.create_key(
            mkek_id=bytes.fromhex(mkek.cka_id),
            key_id=pkek.id,
            canary_plaintext=canaries.text(pkek.id),
            canary_aad=canaries.pkek_aad(project.external_id, pkek.id),
        )
    pkek.wrapped_pkek = key.wrapped
    pkek.canary_iv = key.canary.iv
    pkek.canary_ciphertext = key.canary.ciphertext
    try:
        writes.commit(
            lambda: pkek.save(force_insert=True), committed=ProjectKEK.objects.filter(id=pkek.id).exists
        )
    except IntegrityError:  # somebody else's row came first: theirs is the project's pKEK
        token.forget(pkek.id)
        winner = active_pkek(external_project_id)
        if winner is None:
            raise
        return winner
    log.info("keyring.pkek_created", pkek_id=pkek.id, project_id=external_project_id)
    return pkek


def _mkek_row(token: HSM, made: MKEKInfo) -> MKEK:
    mkek = MKEK(id=new_id(), label=made.label, cka_id=made.mkek_id.hex(), kcv=made.kcv.hex().upper())
    throw_away = token.create_key(
        mkek_id=made.mkek_id,
        key_id=f"mkek-canary:{mkek.id}",
        canary_plaintext=canaries.text(mkek.id),
        canary_aad=canaries.mkek_aad(mkek.id),
    )
    token.forget(throw_away.key_id)
    mkek.canary_wrapped = throw_away.wrapped
    mkek.canary_iv = throw_away.canary.iv
    mkek.canary_ciphertext = throw_away.canary.ciphertext
    return mkek


class _Expected:
    """Which MKEKs this process's HSM has proven; loaded once, and again when a new one turns up."""

    lock = threading.Lock()
    token: HSM | None = None
    mkek_ids: frozenset[str] = frozenset()


def _hsm(mkek: MKEK | None = None) -> HSM:
    """The process's HSM, its members proven to hold the MKEKs in service, ``mkek`` among them."""
    token = hsm()
    if _Expected.token is token and (mkek is None or mkek.id in _Expected.mkek_ids):
        return token
    with _Expected.lock:
        mkeks = list(serving_mkeks())
        token.expect([row.canary for row in mkeks])
        _Expected.token, _Expected.mkek_ids = token, frozenset(row.id for row in mkeks)
    return token
