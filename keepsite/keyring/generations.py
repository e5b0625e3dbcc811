"""New generations of project keys: made in the HSM, one active per project, whoever comes first."""

from collections.abc import Callable

import structlog
from django.db import IntegrityError
from django.utils import timezone

from keepsite import writes
from keepsite.ids import new_id
from keepsite.keyring import canaries
from keepsite.keyring.errors import NoCurrentMKEK, translating
from keepsite.keyring.models import MKEK, ProjectKEK
from keepsite.keyring.proven import proven_hsm
from keepsite.keyring.querysets import current_mkek
from keepsite.projects.models import Project
from keepsite.projects.services import claim_retired

log = structlog.get_logger(__name__)


def first_generation(project: Project) -> ProjectKEK | None:
    """Make and insert a project's first pKEK; None if somebody else's row came first.

    Raises:
        Unavailable: no token could serve, or there is no MKEK.
    """
    pkek = _made(project, generation=1)
    try:
        writes.commit(lambda: pkek.save(force_insert=True), committed=_inserted(pkek))
    except IntegrityError:
        proven_hsm().forget(pkek.id)
        return None
    log.info("keyring.pkek_created", pkek_id=pkek.id, project_id=project.external_id)
    return pkek


def next_generation(old: ProjectKEK) -> ProjectKEK | None:
    """Make a new generation and make it the active one at once; ``old`` only decrypts from then on.

    Of a retired project it only opens as well, until a restore makes it active.
    None if somebody else replaced ``old`` first; ``old.project`` is loaded.

    Raises:
        Unavailable: no token could serve, or there is no MKEK.
    """
    new = _made(old.project, generation=old.generation + 1)
    new.state, new.active_marker = old.state, old.active_marker

    def switch() -> None:
        if not old.active_marker and not claim_retired(old.project):
            raise IntegrityError("the project has just been restored")
        replaced = ProjectKEK.objects.filter(
            id=old.id, state=old.state, active_marker=old.active_marker
        ).update(state=ProjectKEK.State.DECRYPT_ONLY, active_marker=None, superseded_at=timezone.now())
        if not replaced:
            raise IntegrityError("another generation is active already")
        new.save(force_insert=True)

    try:
        writes.commit(switch, committed=_inserted(new))
    except IntegrityError:
        proven_hsm().forget(new.id)
        return None
    log.info("keyring.pkek_rotated", pkek_id=new.id, project_id=old.project.external_id)
    return new


def _made(project: Project, *, generation: int) -> ProjectKEK:
    """A new pKEK, not inserted yet: six PKCS#11 calls."""
    mkek = _current()
    pkek = ProjectKEK(id=new_id(), project=project, mkek=mkek, generation=generation)
    with translating("create_pkek", pkek_id=pkek.id):
        key = proven_hsm(mkek).create_key(
            mkek_id=bytes.fromhex(mkek.cka_id),
            key_id=pkek.id,
            canary_plaintext=canaries.text(pkek.id),
            canary_aad=canaries.pkek_aad(project.external_id, pkek.id),
        )
    pkek.wrapped_pkek = key.wrapped
    pkek.canary_iv = key.canary.iv
    pkek.canary_ciphertext = key.canary.ciphertext
    return pkek


def _current() -> MKEK:
    mkek = current_mkek()
    if mkek is None:
        log.critical("keyring.no_current_mkek")
        raise NoCurrentMKEK
    return mkek


def _inserted(pkek: ProjectKEK) -> Callable[[], bool]:
    return ProjectKEK.objects.filter(id=pkek.id).exists
