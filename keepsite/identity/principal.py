"""Who is calling: what every authenticator produces and every service asks of."""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

from keepsite.errors import InvalidInput

PROJECT_ID_MAX_CHARS = 255  # Barbican API v1: project ids are opaque, at most 255 characters

# Keystone's own implications among the default roles; its tokens carry them already expanded.
_IMPLIED_ROLES = {"admin": {"member", "reader"}, "member": {"reader"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who is calling, in which project and with which roles, as the authenticator verified it.

    Stands in Django REST framework's ``request.user``.  Holds no credential: it
    may be logged and stored in the audit record whole.

    Raises:
        InvalidInput: the project id is empty or longer than 255 characters.
    """

    project_id: str  # the external id, as Keystone or the operator gave it
    user_id: str | None
    roles: frozenset[str]  # kept in lower case, however they were given
    system_scope: str | None = None
    method: str  # "local", "keystone", "noauth", "console" or "command"
    credential_id: str | None = None  # which API key, for the audit record; never the key
    is_suspended: bool | None = None  # its project, where the authenticator saw the row; None: it did not

    is_authenticated: ClassVar[bool] = True
    is_anonymous: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.project_id) <= PROJECT_ID_MAX_CHARS:
            raise InvalidInput(f"The project id must be 1 to {PROJECT_ID_MAX_CHARS} characters long.")
        object.__setattr__(self, "roles", frozenset(role.lower() for role in self.roles))

    @property
    def pk(self) -> str:
        """What rate limits count by: the user where there is one, else the project."""
        return self.user_id or self.project_id

    def with_implied_roles(self) -> Self:
        """Return the same caller with the roles theirs imply: admin, then member, then reader.

        Authenticators whose source does not expand roles call it last.  The
        legacy roles creator, observer and audit imply nothing.

        Source: Keystone's bootstrap, which makes admin imply member and member imply reader.
        """
        implied = (_IMPLIED_ROLES.get(role, set()) for role in self.roles)
        return replace(self, roles=self.roles.union(*implied))
