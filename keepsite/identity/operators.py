"""Principals of people and programs that do not come through the API."""

import getpass

from keepsite.identity.principal import Principal

NO_PROJECT = "-"
# what workers do at intervals
SCHEDULER = Principal(project_id=NO_PROJECT, user_id="schedule", roles=frozenset(), method="command")


def command_principal() -> Principal:
    """Whoever runs a management command, by their login on this host."""
    return Principal(
        project_id=NO_PROJECT, user_id=getpass.getuser(), roles=frozenset({"admin"}), method="command"
    )


def console_principal(username: str) -> Principal:
    """An operator logged in to the console."""
    return Principal(project_id=NO_PROJECT, user_id=username, roles=frozenset({"admin"}), method="console")


def promotion_principal(username: str) -> Principal:
    """A promotion's next step, taken by a node agent in the name of whoever started it."""
    return Principal(project_id=NO_PROJECT, user_id=username, roles=frozenset({"admin"}), method="promotion")
