"""Seal and open payloads, make project keys, generate and activate MKEKs."""

from collections.abc import Sequence
from itertools import accumulate

import structlog

from hsm.keys import Encrypted
from keepsite.errors import KeyMaterialError, Unavailable
from keepsite.keyring import formats
from keepsite.keyring.errors import NoCurrentMKEK, UnknownFormat, translating
from keepsite.keyring.generations import first_generation
from keepsite.keyring.mkeks import activate_mkek, generate_mkek
from keepsite.keyring.models import ProjectKEK
from keepsite.keyring.proven import proven_hsm
from keepsite.keyring.querysets import active_pkek, current_mkek
from keepsite.keyring.sealed import Plaintext, SealContext, Sealed
from keepsite.projects.services import ensure_project

__all__ = [
    "activate_mkek",
    "generate_mkek",
    "open_sealed",
    "prove_token",
    "random_keys",
    "seal",
    "sealing_key",
]

log = structlog.get_logger(__name__)


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
        return formats.seal(proven_hsm(pkek.mkek), pkek.wrapped_key, plaintext, context)


def open_sealed(sealed: Sealed, *, pkek: ProjectKEK, context: SealContext) -> Plaintext:
    """Open what ``seal`` sealed for exactly this context.

    ``pkek`` is the row that ``sealed.pkek_id`` names, with its project and MKEK loaded.

    Raises:
        KeyMaterialError: it was sealed for another secret, project or version, or altered.
        Unavailable: no token could serve.
    """
    open_it = formats.opener(sealed.format)
    if open_it is None:
        log.critical("keyring.unknown_format", format=sealed.format, secret_id=context.secret_id)
        raise UnknownFormat
    if sealed.pkek_id != pkek.id or pkek.state == ProjectKEK.State.RETIRED:
        log.critical("keyring.wrong_pkek", pkek_id=pkek.id, secret_id=context.secret_id)
        raise KeyMaterialError
    encrypted = Encrypted(iv=sealed.iv, ciphertext=sealed.ciphertext)
    with translating("open", pkek_id=pkek.id, secret_id=context.secret_id):
        return Plaintext(open_it(proven_hsm(pkek.mkek), pkek.wrapped_key, encrypted, context))


def random_keys(lengths_bytes: Sequence[int]) -> list[Plaintext]:
    """A fresh symmetric key of each length from the token's generator; one PKCS#11 call for all.

    Source: PKCS#11 v3.1 §5.20.2 (C_GenerateRandom).
    """
    with translating("random"):
        drawn = proven_hsm().random(sum(lengths_bytes))
    ends = accumulate(lengths_bytes)
    return [Plaintext(drawn[end - length : end]) for end, length in zip(ends, lengths_bytes, strict=True)]


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
        proven_hsm(current).start()


def _create_pkek(external_project_id: str) -> ProjectKEK:
    """The project's first pKEK; of several callers at once one wins and all use its row."""
    made = first_generation(ensure_project(external_project_id)) or active_pkek(external_project_id)
    if made is None:
        raise Unavailable("The project's key has just been replaced. Try again.")
    return made
