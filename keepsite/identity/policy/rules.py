"""Every rule that guards the API: what it protects, and whom each role set lets through.

Source: Barbican's policy defaults; section 19 of the API reference tabulates them.
"""

from collections.abc import Iterable

from keepsite.identity.policy.rule import Rule
from keepsite.identity.policy.target import Kind

MEMBER = "role:member"
READER = "role:reader"
ADMIN = "role:admin"
SERVICE_ADMIN = "rule:service_admin"

SECRET: frozenset[Kind] = frozenset({"secret"})
CONTAINER: frozenset[Kind] = frozenset({"container"})
ORDER: frozenset[Kind] = frozenset({"order"})


def _member_of(kind: str) -> str:
    """Members of the owning project; of a private object, its creator alone."""
    return f"rule:{kind}_project_member and (rule:{kind}_owner or rule:{kind}_is_not_private)"


def _managers_of(kind: str) -> str:
    """Those who may change the object under reader, member and admin."""
    return f"rule:{kind}_project_admin or ({_member_of(kind)})"


def _readers_of(kind: str) -> str:
    """Those who may change the object, and the users its ACL names, from any project."""
    return f"{_managers_of(kind)} or rule:{kind}_acl_read"


def _legacy_admin_of(kind: str) -> str:
    return f"(rule:admin and rule:{kind}_project_match)"


def _legacy_managers_of(kind: str) -> str:
    """Admins of the owning project, and its creators where the object is theirs or not private."""
    return (
        f"{_legacy_admin_of(kind)} or rule:{kind}_project_creator"
        f" or (rule:{kind}_project_creator_role and not rule:{kind}_private_read)"
    )


def _legacy_readers_of(kind: str, *, non_private: str = "non_private_read") -> str:
    """Every legacy role in the owning project, and the users the ACL names.

    Of a private object: its creator, admins, and the users the ACL names.
    """
    return (
        f"rule:{kind}_{non_private} or rule:{kind}_project_creator"
        f" or {_legacy_admin_of(kind)} or rule:{kind}_acl_read"
    )


SECRETS = (
    Rule(
        name="secrets:post",
        doing="Creating a secret",
        operations=("POST /v1/secrets",),
        secure=MEMBER,
        legacy="rule:admin_or_creator",
    ),
    Rule(
        name="secrets:get",
        doing="Listing the project's secrets",
        operations=("GET /v1/secrets",),
        secure=MEMBER,
        legacy="rule:all_but_audit",
    ),
    Rule(
        name="secret:get",
        doing="Reading a secret's description",
        operations=("GET /v1/secrets/{secret_id}",),
        about=SECRET,
        # An admin of any project: cinder's service user looks at and deletes keys its users left behind.
        secure=f"{ADMIN} or {_readers_of('secret')}",
        legacy=_legacy_readers_of("secret"),
    ),
    Rule(
        name="secret:decrypt",
        doing="Reading a secret's payload",
        operations=("GET /v1/secrets/{secret_id}/payload", "GET /v1/secrets/{secret_id}"),
        about=SECRET,
        secure=_readers_of("secret"),
        legacy=_legacy_readers_of("secret", non_private="decrypt_non_private_read"),
    ),
    Rule(
        name="secret:put",
        doing="Adding a payload to a secret",
        operations=("PUT /v1/secrets/{secret_id}",),
        about=SECRET,
        secure=_managers_of("secret"),
        legacy="rule:admin_or_creator and rule:secret_project_match",
    ),
    Rule(
        name="secret:delete",
        doing="Deleting a secret",
        operations=("DELETE /v1/secrets/{secret_id}",),
        about=SECRET,
        secure=f"{ADMIN} or ({_member_of('secret')})",  # any project: see secret:get
        legacy=_legacy_managers_of("secret"),
    ),
)

SECRET_METADATA = (
    Rule(
        name="secret_meta:get",
        doing="Reading a secret's metadata",
        operations=("GET /v1/secrets/{secret_id}/metadata", "GET /v1/secrets/{secret_id}/metadata/{key}"),
        about=SECRET,
        secure=_readers_of("secret"),
        legacy=_legacy_readers_of("secret"),
    ),
    Rule(
        name="secret_meta:post",
        doing="Adding an item to a secret's metadata",
        operations=("POST /v1/secrets/{secret_id}/metadata",),
        about=SECRET,
        secure=_managers_of("secret"),
        legacy=_legacy_managers_of("secret"),
    ),
    Rule(
        name="secret_meta:put",
        doing="Replacing a secret's metadata",
        operations=("PUT /v1/secrets/{secret_id}/metadata", "PUT /v1/secrets/{secret_id}/metadata/{key}"),
        about=SECRET,
        secure=_managers_of("secret"),
        legacy=_legacy_managers_of("secret"),
    ),
    Rule(
        name="secret_meta:delete",
        doing="Removing an item from a secret's metadata",
        operations=("DELETE /v1/secrets/{secret_id}/metadata/{key}",),
        about=SECRET,
        secure=_managers_of("secret"),
        legacy=_legacy_managers_of("secret"),
    ),
)

CONTAINERS = (
    Rule(
        name="containers:post",
        doing="Creating a container",
        operations=("POST /v1/containers",),
        secure=MEMBER,
        legacy="rule:admin_or_creator",
    ),
    Rule(
        name="containers:get",
        doing="Listing the project's containers",
        operations=("GET /v1/containers",),
        secure=MEMBER,
        legacy="rule:all_but_audit",
    ),
    Rule(
        name="container:get",
        doing="Reading a container",
        operations=("GET /v1/containers/{container_id}",),
        about=CONTAINER,
        secure=_readers_of("container"),
        legacy=_legacy_readers_of("container"),
    ),
    Rule(
        name="container:delete",
        doing="Deleting a container",
        operations=("DELETE /v1/containers/{container_id}",),
        about=CONTAINER,
        secure=_managers_of("container"),
        legacy=f"{_legacy_admin_of('container')} or rule:container_project_creator",
    ),
    Rule(
        name="container_secret:post",
        doing="Adding a secret to a container",
        operations=("POST /v1/containers/{container_id}/secrets",),
        about=CONTAINER,
        secure=_managers_of("container"),
        legacy=_legacy_managers_of("container"),
    ),
    Rule(
        name="container_secret:delete",
        doing="Removing a secret from a container",
        operations=("DELETE /v1/containers/{container_id}/secrets",),
        about=CONTAINER,
        secure=_managers_of("container"),
        legacy=_legacy_managers_of("container"),
    ),
)


def _acl_rules(kind: Kind) -> tuple[Rule, ...]:
    """The three rules of an ACL: the users it names may neither see nor change it."""
    path = f"/v1/{kind}s/{{{kind}_id}}/acl"
    about = frozenset({kind})
    return (
        Rule(
            name=f"{kind}_acls:get",
            doing=f"Reading a {kind}'s ACL",
            operations=(f"GET {path}",),
            about=about,
            secure=_managers_of(kind),
            legacy=f"rule:all_but_audit and rule:{kind}_project_match",
        ),
        Rule(
            name=f"{kind}_acls:put_patch",
            doing=f"Changing a {kind}'s ACL",
            operations=(f"PUT {path}", f"PATCH {path}"),
            about=about,
            secure=_managers_of(kind),
            legacy=_legacy_managers_of(kind),
        ),
        Rule(
            name=f"{kind}_acls:delete",
            doing=f"Deleting a {kind}'s ACL",
            operations=(f"DELETE {path}",),
            about=about,
            secure=_managers_of(kind),
            legacy=_legacy_managers_of(kind),
        ),
    )


def _consumer_rules(kind: Kind) -> tuple[Rule, ...]:
    """The three rules of a list of consumers: who reads the parent may register as its consumer."""
    path = f"/v1/{kind}s/{{{kind}_id}}/consumers"

    def rule(verb: str, doing: str) -> Rule:
        return Rule(
            name=f"{kind}_consumers:{verb}",
            doing=doing,
            operations=(f"{verb.upper()} {path}",),
            about=frozenset({kind}),
            secure=_readers_of(kind),
            legacy=_legacy_readers_of(kind),
        )

    return (
        rule("get", f"Listing a {kind}'s consumers"),
        rule("post", f"Registering a consumer of a {kind}"),
        rule("delete", f"Removing a consumer of a {kind}"),
    )


ONE_CONSUMER = Rule(
    name="consumer:get",
    doing="Reading one consumer",
    operations=(
        "GET /v1/secrets/{secret_id}/consumers/{consumer_id}",
        "GET /v1/containers/{container_id}/consumers/{consumer_id}",
    ),
    about=SECRET | CONTAINER,
    # Barbican's rule speaks of containers alone, which shuts out members of a secret's project.
    secure=f"{ADMIN} or {_readers_of('container')} or {_readers_of('secret')}",
    legacy=(
        "((rule:all_but_audit or rule:audit) and 'container':%(target.kind)s)"
        f" or {_legacy_readers_of('container')} or {_legacy_readers_of('secret')}"
    ),
)

ORDERS = (
    Rule(
        name="orders:post",
        doing="Placing an order",
        operations=("POST /v1/orders",),
        secure=MEMBER,
        legacy="rule:admin_or_creator",
    ),
    Rule(
        name="orders:get",
        doing="Listing the project's orders",
        operations=("GET /v1/orders",),
        secure=MEMBER,
        legacy="rule:all_but_audit",
    ),
    Rule(
        name="orders:put",
        doing="Changing orders",
        operations=("PUT /v1/orders",),
        secure=MEMBER,
        legacy="rule:admin_or_creator",
    ),
    Rule(
        name="order:get",
        doing="Reading an order",
        operations=("GET /v1/orders/{order_id}",),
        about=ORDER,
        secure="rule:order_project_member",
        legacy="rule:all_users and rule:order_project_match",
    ),
    Rule(
        name="order:delete",
        doing="Deleting an order",
        operations=("DELETE /v1/orders/{order_id}",),
        about=ORDER,
        secure="rule:order_project_member",
        # Barbican lets admins alone delete, so castellan's orders pile up: creators delete their own.
        legacy="rule:order_project_match and (rule:admin or (rule:creator and rule:order_creator_user))",
    ),
)

QUOTAS = (
    Rule(
        name="quotas:get",
        doing="Reading the project's quotas",
        operations=("GET /v1/quotas",),
        secure=READER,
        legacy="rule:all_users",
    ),
    Rule(
        name="project_quotas:get",
        doing="Reading the quotas set for projects",
        operations=("GET /v1/project-quotas", "GET /v1/project-quotas/{project_id}"),
        secure=ADMIN,
        legacy=SERVICE_ADMIN,
    ),
    Rule(
        name="project_quotas:put",
        doing="Setting a project's quotas",
        operations=("PUT /v1/project-quotas/{project_id}",),
        secure=ADMIN,
        legacy=SERVICE_ADMIN,
    ),
    Rule(
        name="project_quotas:delete",
        doing="Returning a project to the default quotas",
        operations=("DELETE /v1/project-quotas/{project_id}",),
        secure=ADMIN,
        legacy=SERVICE_ADMIN,
    ),
)

SECRET_STORES = (
    Rule(
        name="secretstores:get",
        doing="Listing secret stores",
        operations=("GET /v1/secret-stores",),
        secure=READER,
        legacy="rule:all_users",
    ),
    Rule(
        name="secretstores:get_global_default",
        doing="Reading the default secret store",
        operations=("GET /v1/secret-stores/global-default",),
        secure=READER,
        legacy="rule:all_users",
    ),
    Rule(
        name="secretstores:get_preferred",
        doing="Reading the project's preferred secret store",
        operations=("GET /v1/secret-stores/preferred",),
        secure=READER,
        legacy="rule:all_users",
    ),
    Rule(
        name="secretstore:get",
        doing="Reading a secret store",
        operations=("GET /v1/secret-stores/{store_id}",),
        secure=READER,
        legacy="rule:all_users",
    ),
    Rule(
        name="secretstore_preferred:post",
        doing="Choosing the project's preferred secret store",
        operations=("POST /v1/secret-stores/{store_id}/preferred",),
        secure=ADMIN,
        legacy="rule:admin",
    ),
    Rule(
        name="secretstore_preferred:delete",
        doing="Returning the project to the default secret store",
        operations=("DELETE /v1/secret-stores/{store_id}/preferred",),
        secure=ADMIN,
        legacy="rule:admin",
    ),
)

TRANSPORT_KEYS = (
    Rule(
        name="transport_keys:get",
        doing="Listing transport keys",
        operations=("GET /v1/transport_keys",),
        secure=READER,
        legacy="rule:all_users",
    ),
    Rule(
        name="transport_keys:post",
        doing="Adding a transport key",
        operations=("POST /v1/transport_keys",),
        secure=ADMIN,
        legacy=SERVICE_ADMIN,
    ),
    Rule(
        name="transport_key:get",
        doing="Reading a transport key",
        operations=("GET /v1/transport_keys/{transport_key_id}",),
        secure=READER,
        legacy="rule:all_users",
    ),
    Rule(
        name="transport_key:delete",
        doing="Deleting a transport key",
        operations=("DELETE /v1/transport_keys/{transport_key_id}",),
        secure=ADMIN,
        legacy=SERVICE_ADMIN,
    ),
)

_ALL: Iterable[Rule] = (
    *SECRETS,
    *SECRET_METADATA,
    *_acl_rules("secret"),
    *_consumer_rules("secret"),
    *CONTAINERS,
    *_acl_rules("container"),
    *_consumer_rules("container"),
    ONE_CONSUMER,
    *ORDERS,
    *QUOTAS,
    *SECRET_STORES,
    *TRANSPORT_KEYS,
)
RULES: dict[str, Rule] = {rule.name: rule for rule in _ALL}
