from typing import Any

from keepsite.api.fields import NOT_STORABLE, TEXT_MAX_CHARS, is_storable, moment_text
from keepsite.api.openapi import MOMENT, Component, array, record, text
from keepsite.errors import InvalidInput
from secrets_app.models import ACL
from secrets_app.services import ReadAccess

OPERATIONS = {"read"}
SETTINGS = {"users", "project-access"}


_USERS = array(text(max_chars=TEXT_MAX_CHARS, allows_blank=False))
WANTED_ACL = Component(
    "WantedACL", record({}, {"read": record({}, {"users": _USERS, "project-access": {"type": "boolean"}})})
)
ACL_SHOWN = Component(
    "ACL",
    record(
        {
            "read": record(
                {
                    "project-access": {
                        "type": "boolean",
                        "description": "whether roles in the project suffice",
                    }
                },
                {
                    "users": {**array({"type": "string"}), "description": "who may read besides"},
                    "created": MOMENT,
                    "updated": MOMENT,
                },
            )
        }
    ),
)


def wanted_access(body: dict[str, Any]) -> ReadAccess | None:  # Any: JSON values
    """What the body of PUT or PATCH wants; None where it names nothing.

    Raises:
        InvalidInput: an operation, setting or type that an ACL does not know.
    """
    if body.keys() - OPERATIONS:
        raise _refused(f"only {', '.join(sorted(OPERATIONS))} is known")
    if "read" not in body:
        return None
    read = body["read"]
    if not isinstance(read, dict):
        raise _refused("read must be an object")
    if read.keys() - SETTINGS:
        raise _refused(f"read takes {' and '.join(sorted(SETTINGS))} only")
    if not read:
        return None
    return ReadAccess(project_access=_project_access(read), users=_users(read))


def _project_access(read: dict[str, Any]) -> bool | None:  # Any: JSON values
    if "project-access" not in read:
        return None
    value = read["project-access"]
    if not isinstance(value, bool):
        raise _refused("project-access must be true or false")
    return value


def _users(read: dict[str, Any]) -> frozenset[str] | None:  # Any: JSON values
    if "users" not in read:
        return None
    users = read["users"]
    if not isinstance(users, list) or not all(isinstance(user, str) for user in users):
        raise _refused("users must be a list of user ids")
    stripped = frozenset(user.strip() for user in users)
    if not all(1 <= len(user) <= TEXT_MAX_CHARS for user in stripped):
        raise _refused(f"a user id has 1 to {TEXT_MAX_CHARS} characters")
    if not all(map(is_storable, stripped)):
        raise _refused(f"a user id {NOT_STORABLE}")
    return stripped


def _refused(reason: str) -> InvalidInput:
    return InvalidInput(f"Provided object does not match schema 'ACL': {reason}.")


def show_acl(acl: ACL | None) -> dict[str, Any]:  # Any: JSON values
    """The ACL object; without a row, the default that it stands for."""
    if acl is None:
        return {"read": {"project-access": True}}
    return {
        "read": {
            "project-access": acl.project_access,
            "users": sorted(acl.users.values_list("user_id", flat=True)),
            "created": moment_text(acl.created_at),
            "updated": moment_text(acl.updated_at),
        }
    }
