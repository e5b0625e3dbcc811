"""People who run Keepsite, as far as its lowest services are concerned."""

from dataclasses import dataclass

from keepsite.audit.records import Actor
from keepsite.errors import NotAllowed


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleOperator:
    """Who acts, by the name they logged in with; ``approved_by`` is the second person."""

    user_id: str
    approved_by: str = ""
    project_id: str = "-"  # none: operators belong to no project
    method: str = "console"
    credential_id: str | None = None


def require_operator(actor: Actor) -> None:
    """Return if ``actor`` runs a command or uses the console; callers of the API never do.

    Raises:
        NotAllowed: it is anybody else.
    """
    if actor.method not in {"command", "console"}:
        raise NotAllowed("Only operators may do this, by command or in the console.")
