"""The named conditions that the rules are made of.

Policy files written for Barbican refer to them and override them, so the names
and the target's attributes are Barbican's; two names for one condition are two
generations of Barbican's policy.
"""

from oslo_policy.policy import RuleDefault

_LEGACY_ROLES = {
    "admin": "role:admin",
    "creator": "role:creator",
    "observer": "role:observer",
    "audit": "role:audit",
    "service_admin": "role:key-manager:service-admin",
    "all_users": "rule:admin or rule:observer or rule:creator or rule:audit or rule:service_admin",
    "all_but_audit": "rule:admin or rule:observer or rule:creator",
    "admin_or_creator": "rule:admin or rule:creator",
}


def _conditions_on(kind: str) -> dict[str, str]:
    """Return the conditions on a secret or a container: ownership, privacy, ACL."""
    return {
        f"{kind}_project_match": f"project_id:%(target.{kind}.project_id)s",
        f"{kind}_owner": f"user_id:%(target.{kind}.creator_id)s",
        f"{kind}_is_not_private": f"True:%(target.{kind}.read_project_access)s",
        f"{kind}_acl_read": f"'read':%(target.{kind}.read)s",
        # reader, member, admin
        f"{kind}_project_reader": f"role:reader and rule:{kind}_project_match",
        f"{kind}_project_member": f"role:member and rule:{kind}_project_match",
        f"{kind}_project_admin": f"role:admin and rule:{kind}_project_match",
        # the legacy roles
        f"{kind}_creator_user": f"user_id:%(target.{kind}.creator_id)s",
        f"{kind}_private_read": f"'False':%(target.{kind}.read_project_access)s",
        f"{kind}_non_private_read": (
            f"rule:all_users and rule:{kind}_project_match and not rule:{kind}_private_read"
        ),
        f"{kind}_project_creator_role": f"rule:creator and rule:{kind}_project_match",
        f"{kind}_project_creator": f"rule:{kind}_project_creator_role and rule:{kind}_creator_user",
    }


_CONDITIONS = {
    **_LEGACY_ROLES,
    **_conditions_on("secret"),
    "secret_decrypt_non_private_read": (
        "rule:all_but_audit and rule:secret_project_match and not rule:secret_private_read"
    ),
    **_conditions_on("container"),
    "order_project_match": "project_id:%(target.order.project_id)s",
    "order_creator_user": "user_id:%(target.order.creator_id)s",
    "order_project_member": "role:member and rule:order_project_match",
}

BASE_RULES = [RuleDefault(name, check_str) for name, check_str in _CONDITIONS.items()]
