"""Identity from plain headers: for development on one's own machine, never elsewhere."""

from collections.abc import Mapping

from keepsite.errors import InvalidInput
from keepsite.identity.principal import Principal

HEADERS = ("X-Project-Id", "X-User-Id", "X-Roles")


def principal_of(headers: Mapping[str, str]) -> Principal:
    """The caller that ``X-Project-Id``, ``X-User-Id`` and ``X-Roles`` claim to be; no roles means admin.

    Raises:
        InvalidInput: there is no ``X-Project-Id``.
    """
    project_id = headers.get("X-Project-Id", "")
    if not project_id:
        raise InvalidInput(
            "The X-Project-Id header is missing; with KEEPSITE_AUTH=noauth it says who is calling."
        )
    roles = headers.get("X-Roles", "admin").split(",")
    return Principal(
        project_id=project_id,
        user_id=headers.get("X-User-Id") or None,
        roles=frozenset(role.strip() for role in roles if role.strip()),
        method="noauth",
    ).with_implied_roles()
