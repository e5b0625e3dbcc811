"""What each role may do in the console: Django groups, kept as this table says."""

from collections.abc import Iterable

from django.apps import AppConfig
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.db import connections, router

VIEWER, OPERATOR, CRYPTO_OFFICER, AUDITOR = "viewer", "operator", "crypto officer", "auditor"

_LOOK = frozenset(
    {
        "approvals.view_actrequest",
        "fleet.view_hsmmember",
        "identity.view_apikey",
        "keyring.view_kekrun",
        "keyring.view_mkek",
        "keyring.view_projectkek",
        "nodes.view_node",
        "nodes.view_promotion",
        "notices.view_message",
        "notices.view_notice",
        "orders_app.view_deadletter",
        "orders_app.view_order",
        "projects.view_project",
        "projects.view_projectquota",
        "secrets_app.view_acl",
        "secrets_app.view_container",
        "secrets_app.view_containerconsumer",
        "secrets_app.view_containersecret",
        "secrets_app.view_secret",
        "secrets_app.view_secretconsumer",
        "secrets_app.view_transportkey",
        "trail.view_auditchain",
        "trail.view_auditrecord",
    }
)
_EXPORT = frozenset(
    {
        "identity.export_apikey",
        "orders_app.export_order",
        "secrets_app.export_acl",
        "secrets_app.export_container",
        "secrets_app.export_containerconsumer",
        "secrets_app.export_secret",
        "secrets_app.export_secretconsumer",
    }
)
# What can be undone, or harms one client at most; to expire secrets (delete_secret too) can not.
_OPERATE = frozenset(
    {
        "fleet.release_hsmmember",
        "identity.add_apikey",
        "identity.revoke_apikey",
        "operators.release_lockout",
        "operators.view_lockout",
        "keyring.rotate_projectkek",
        "nodes.forget_node",
        "nodes.steer_node",
        "nodes.steer_promotion",
        "notices.acknowledge_notice",
        "orders_app.cancel_order",
        "orders_app.delete_order",
        "orders_app.discard_deadletter",
        "orders_app.replay_deadletter",
        "orders_app.restore_order",
        "orders_app.retry_order",
        "projects.set_quota_of_project",
        "projects.suspend_project",
        "secrets_app.delete_container",
        "secrets_app.delete_secret",
        "secrets_app.restore_container",
        "secrets_app.restore_secret",
    }
)
# What destroys sealed payloads for good.
_PURGE = frozenset(
    {
        "orders_app.purge_order",
        "secrets_app.purge_container",
        "secrets_app.purge_secret",
    }
)
_AUDIT = frozenset({"trail.export_auditrecord", "trail.verify_auditchain"})
# What decides which key everything hangs on; pKEKs too, since a new MKEK may need new ones.
_KEYS = frozenset(
    {
        "fleet.release_hsmmember",
        "keyring.activate_mkek",
        "keyring.generate_mkek",
        "keyring.retire_mkek",
        "keyring.rewrap_mkek",
        "keyring.rotate_projectkek",
        "notices.acknowledge_notice",
    }
)
ROLES: dict[str, frozenset[str]] = {
    VIEWER: _LOOK,
    OPERATOR: _LOOK | _EXPORT | _OPERATE,
    CRYPTO_OFFICER: _LOOK | _PURGE | _KEYS,
    AUDITOR: _LOOK | _EXPORT | {"auth.view_user", "operators.view_lockout"} | _AUDIT,
}


def keep_groups(*, app_config: AppConfig, using: str, **_: object) -> None:
    """Make the four groups, and give each exactly the permissions of this app that the table names.

    Called after the migration of each app, with what Django sends along.  Groups of
    other names are the deployment's own and stay as they are.
    """
    is_named = any(name.startswith(f"{app_config.label}.") for names in ROLES.values() for name in names)
    if not is_named or not router.allow_migrate_model(using, Group) or not _has_tables(using):
        return
    create_permissions(app_config, verbosity=0, using=using)
    of_app = Permission.objects.using(using).filter(content_type__app_label=app_config.label)
    by_name = {f"{app_config.label}.{permission.codename}": permission for permission in of_app}
    for role, names in ROLES.items():
        group, _made = Group.objects.using(using).get_or_create(name=role)
        wanted = [by_name[name] for name in sorted(names & by_name.keys())]
        _make_exact(group, wanted, by_name.values())


def _has_tables(using: str) -> bool:
    """Whether auth is migrated: other apps may be, alone and before it."""
    return Group._meta.db_table in connections[using].introspection.table_names()  # noqa: SLF001  # Django's


def _make_exact(group: Group, wanted: list[Permission], known: Iterable[Permission]) -> None:
    group.permissions.add(*wanted)
    group.permissions.remove(*(set(known) - set(wanted)))
