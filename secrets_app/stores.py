"""Secret stores: this service has one, the PKCS#11 token; clients may ask which, and prefer it."""

from dataclasses import dataclass
from datetime import UTC, datetime

from keepsite import audit, writes
from keepsite.errors import NotFound
from keepsite.projects.models import Project
from keepsite.projects.services import ensure_project


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretStore:
    """A place where payloads are kept."""

    id: str
    name: str
    secret_store_plugin: str
    crypto_plugin: str
    is_global_default: bool
    since: datetime


# The names are those that Barbican's clients know for payloads under keys in a PKCS#11 token.
TOKEN = SecretStore(
    id="a4c6b1e0-7d0f-4c53-9b8a-0f7f5b1e2d36",
    name="PKCS11 HSM",
    secret_store_plugin="store_crypto",  # noqa: S106  # a name
    crypto_plugin="p11_crypto",
    is_global_default=True,
    since=datetime(2026, 1, 1, tzinfo=UTC),
)
STORES = (TOKEN,)


def find_store(store_id: str) -> SecretStore:
    """The store with this id.

    Raises:
        NotFound: there is none.
    """
    for store in STORES:
        if store.id == store_id:
            return store
    raise NotFound("Secret store not found.")


def preferred_store(project_id: str) -> SecretStore:
    """The store that a project prefers.

    Raises:
        NotFound: it has said nothing.
    """
    preferred = ensure_project(project_id).preferred_store
    if not preferred:
        raise NotFound("This project prefers no secret store.")
    return find_store(preferred)


def prefer(store: SecretStore, *, actor: audit.Actor) -> None:
    """New secrets of the caller's project go to ``store``."""
    project = ensure_project(actor.project_id)
    rows = Project.objects.filter(id=project.id)
    writes.commit(
        lambda: rows.update(preferred_store=store.id), committed=rows.filter(preferred_store=store.id).exists
    )
    audit.record("secret_store.preferred", actor=actor, subject=project)


def prefer_none(*, actor: audit.Actor) -> None:
    """Back to the global default.

    Raises:
        NotFound: the project prefers none.
    """
    project = ensure_project(actor.project_id)
    rows = Project.objects.filter(id=project.id)

    def clear() -> None:
        if not rows.exclude(preferred_store="").update(preferred_store=""):
            raise NotFound("This project prefers no secret store.")

    writes.commit(clear, committed=rows.filter(preferred_store="").exists)
    audit.record("secret_store.unpreferred", actor=actor, subject=project)
