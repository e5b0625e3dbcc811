"""Who may do what: every rule against every kind of caller, in all three role sets.

The expected answers are the predicates of section 19 of the API reference,
written again in Python; nothing here reads the check strings.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import pytest
from django.core.exceptions import ImproperlyConfigured

from keepsite.errors import NotAllowed
from keepsite.identity import policy
from keepsite.identity.policy import Target
from keepsite.identity.policy.defaults import defaults
from keepsite.identity.policy.rules import RULES
from keepsite.identity.principal import Principal

OUR_PROJECT, OTHER_PROJECT = "p-ours", "p-other"
CALLER, SOMEBODY = "u-caller", "u-somebody"


@pytest.fixture(autouse=True)
def _default_policy(settings) -> Iterator[None]:
    settings.ROLE_SET, settings.POLICY_FILE = "secure", ""
    policy.reset()
    yield
    policy.reset()


def principal(*roles: str, user_id: str | None = CALLER, system_scope: str | None = None) -> Principal:
    return Principal(
        project_id=OUR_PROJECT,
        user_id=user_id,
        roles=frozenset(roles),
        system_scope=system_scope,
        method="local",
    )


@dataclass(frozen=True)
class Case:
    """One caller before one object: the symbols of section 19.1."""

    roles: frozenset[str]
    in_project: bool  # P
    is_creator: bool  # O
    is_shared: bool  # NP; False is PV
    in_acl: bool  # A
    system_scope: str | None
    kind: str | None

    def has(self, *roles: str) -> bool:
        return bool(self.roles.intersection(roles))

    @property
    def actor(self) -> Principal:
        return principal(*self.roles, system_scope=self.system_scope)

    @property
    def target(self) -> Target | None:
        if self.kind is None:
            return None
        return Target(
            kind=self.kind,
            project_id=OUR_PROJECT if self.in_project else OTHER_PROJECT,
            creator_id=CALLER if self.is_creator else SOMEBODY,
            project_access=self.is_shared,
            is_acl_reader=self.in_acl,
        )


# --- section 19.2: reader, member, admin


def member(c: Case) -> bool:
    return c.has("member")


def reader(c: Case) -> bool:
    return c.has("reader")


def admin(c: Case) -> bool:
    return c.has("admin")


def member_here(c: Case) -> bool:
    return c.has("member") and c.in_project and (c.is_creator or c.is_shared)


def change(c: Case) -> bool:
    return (c.has("admin") and c.in_project) or member_here(c)


def read(c: Case) -> bool:
    return change(c) or c.in_acl


def read_or_any_admin(c: Case) -> bool:
    return c.has("admin") or member_here(c) or c.in_acl


def delete_or_any_admin(c: Case) -> bool:
    return c.has("admin") or member_here(c)


def member_of_project(c: Case) -> bool:
    return c.has("member") and c.in_project


# --- section 19.3: the legacy roles

ALL = ("admin", "observer", "creator", "audit", "key-manager:service-admin")
ALL_BUT_AUDIT = ("admin", "observer", "creator")


def admin_or_creator(c: Case) -> bool:
    return c.has("admin", "creator")


def all_but_audit(c: Case) -> bool:
    return c.has(*ALL_BUT_AUDIT)


def everyone(c: Case) -> bool:
    return c.has(*ALL)


def service_admin(c: Case) -> bool:
    return c.has("key-manager:service-admin")


def legacy_read_by(*roles: str) -> Callable[[Case], bool]:
    def may(c: Case) -> bool:
        if c.in_acl:
            return True
        if not c.in_project:
            return False
        return c.has("admin") or (c.has("creator") and c.is_creator) or (c.has(*roles) and c.is_shared)

    return may


legacy_read = legacy_read_by(*ALL)
legacy_decrypt = legacy_read_by(*ALL_BUT_AUDIT)


def legacy_put(c: Case) -> bool:
    return c.in_project and c.has("admin", "creator")


def legacy_change(c: Case) -> bool:
    if not c.in_project:
        return False
    return c.has("admin") or (c.has("creator") and (c.is_creator or c.is_shared))


def legacy_own(c: Case) -> bool:
    return c.in_project and (c.has("admin") or (c.has("creator") and c.is_creator))


def legacy_acl_get(c: Case) -> bool:
    return c.in_project and c.has(*ALL_BUT_AUDIT)


def legacy_order_get(c: Case) -> bool:
    return c.in_project and c.has(*ALL)


def legacy_container_consumer(c: Case) -> bool:
    return c.has("admin", "observer", "creator", "audit") or legacy_read(c)


# (rule, kind of target): (secure, legacy)
EXPECTED: dict[tuple[str, str | None], tuple[Callable[[Case], bool], Callable[[Case], bool]]] = {
    ("secrets:post", None): (member, admin_or_creator),
    ("secrets:get", None): (member, all_but_audit),
    ("secret:get", "secret"): (read_or_any_admin, legacy_read),
    ("secret:decrypt", "secret"): (read, legacy_decrypt),
    ("secret:put", "secret"): (change, legacy_put),
    ("secret:delete", "secret"): (delete_or_any_admin, legacy_change),
    ("secret_meta:get", "secret"): (read, legacy_read),
    ("secret_meta:post", "secret"): (change, legacy_change),
    ("secret_meta:put", "secret"): (change, legacy_change),
    ("secret_meta:delete", "secret"): (change, legacy_change),
    ("secret_acls:get", "secret"): (change, legacy_acl_get),
    ("secret_acls:put_patch", "secret"): (change, legacy_change),
    ("secret_acls:delete", "secret"): (change, legacy_change),
    ("secret_consumers:get", "secret"): (read, legacy_read),
    ("secret_consumers:post", "secret"): (read, legacy_read),
    ("secret_consumers:delete", "secret"): (read, legacy_read),
    ("containers:post", None): (member, admin_or_creator),
    ("containers:get", None): (member, all_but_audit),
    ("container:get", "container"): (read, legacy_read),
    ("container:delete", "container"): (change, legacy_own),
    ("container_secret:post", "container"): (change, legacy_change),
    ("container_secret:delete", "container"): (change, legacy_change),
    ("container_acls:get", "container"): (change, legacy_acl_get),
    ("container_acls:put_patch", "container"): (change, legacy_change),
    ("container_acls:delete", "container"): (change, legacy_change),
    ("container_consumers:get", "container"): (read, legacy_read),
    ("container_consumers:post", "container"): (read, legacy_read),
    ("container_consumers:delete", "container"): (read, legacy_read),
    # section 23 row 17: for secrets the parent's read rule
    ("consumer:get", "secret"): (read_or_any_admin, legacy_read),
    ("consumer:get", "container"): (read_or_any_admin, legacy_container_consumer),
    ("orders:post", None): (member, admin_or_creator),
    ("orders:get", None): (member, all_but_audit),
    ("orders:put", None): (member, admin_or_creator),
    ("order:get", "order"): (member_of_project, legacy_order_get),
    ("order:delete", "order"): (member_of_project, legacy_own),  # section 23 row 3: creators, their own
    ("quotas:get", None): (reader, everyone),
    ("project_quotas:get", None): (admin, service_admin),
    ("project_quotas:put", "project"): (admin, service_admin),
    ("project_quotas:delete", "project"): (admin, service_admin),
    ("secretstores:get", None): (reader, everyone),
    ("secretstores:get_global_default", None): (reader, everyone),
    ("secretstores:get_preferred", None): (reader, everyone),
    ("secretstore:get", "secret_store"): (reader, everyone),
    ("secretstore_preferred:post", "secret_store"): (admin, admin),
    ("secretstore_preferred:delete", "secret_store"): (admin, admin),
    ("transport_keys:get", None): (reader, everyone),
    ("transport_keys:post", None): (admin, service_admin),
    ("transport_key:get", "transport_key"): (reader, everyone),
    ("transport_key:delete", "transport_key"): (admin, service_admin),
}

CALLERS = [
    (),
    ("swiftoperator",),
    ("reader",),
    ("member",),
    ("admin",),
    ("member", "reader"),
    ("admin", "member", "reader"),
    ("creator",),
    ("observer",),
    ("audit",),
    ("key-manager:service-admin",),
    ("creator", "audit"),
    ("creator", "member", "reader"),
]
YES_NO = (True, False)
ROLE_SETS = ("secure", "legacy", "both")


def cases(kind: str | None) -> Iterator[Case]:
    for roles, here, creator, shared, in_acl, scope in product(
        CALLERS, YES_NO, YES_NO, YES_NO, YES_NO, (None, "all")
    ):
        yield Case(frozenset(roles), here, creator, shared, in_acl, scope, kind)


def expected_answer(rule: str, role_set: str, case: Case) -> bool:
    if case.system_scope:
        return False
    secure, legacy = EXPECTED[rule, case.kind]
    answers = {"secure": secure(case), "legacy": legacy(case)}
    return any(answers.values()) if role_set == "both" else answers[role_set]


class TestMatrix:
    def test_the_table_covers_every_rule(self):
        assert {rule for rule, _kind in EXPECTED} == set(RULES)

    def test_the_matrix_has_the_size_we_claim(self):
        per_rule = sum(1 for _ in cases(None))

        assert per_rule * len(EXPECTED) * len(ROLE_SETS) == 61_152

    @pytest.mark.parametrize("role_set", ROLE_SETS)
    @pytest.mark.parametrize(("rule", "kind"), EXPECTED, ids=[f"{rule}-{kind}" for rule, kind in EXPECTED])
    def test_everyone_gets_what_the_reference_says(self, settings, role_set, rule, kind):
        settings.ROLE_SET = role_set
        policy.reset()

        wrong = [
            case
            for case in cases(kind)
            if policy.allows(rule, case.actor, case.target) is not expected_answer(rule, role_set, case)
        ]

        assert wrong == []


class TestRequire:
    def test_the_message_names_the_operation_and_nothing_about_the_object(self):
        private = Target(kind="secret", project_id=OTHER_PROJECT, creator_id=SOMEBODY, project_access=False)

        with pytest.raises(NotAllowed) as refused:
            policy.require("secret:decrypt", principal("member"), private)

        assert (
            refused.value.public == "Reading a secret's payload is not allowed for this user in this project."
        )

    def test_returns_nothing_when_allowed(self):
        assert policy.require("secrets:post", principal("member")) is None

    def test_an_unknown_rule_is_our_own_mistake(self):
        with pytest.raises(policy.RuleMisused, match="no policy rule 'secret:read'"):
            policy.require("secret:read", principal("admin"))

    def test_a_named_condition_is_no_rule(self):
        with pytest.raises(policy.RuleMisused):
            policy.require("all_users", principal("admin"))

    @pytest.mark.parametrize("target", [None, Target(kind="container", project_id="p", creator_id=None)])
    def test_a_target_of_the_wrong_kind_is_our_own_mistake(self, target):
        with pytest.raises(policy.RuleMisused, match="secret:get is about a secret"):
            policy.require("secret:get", principal("admin"), target)

    def test_an_unknown_role_set_is_named(self, settings):
        settings.ROLE_SET = "modern"

        with pytest.raises(ImproperlyConfigured, match="'modern'; it must be one of secure, legacy, both"):
            policy.require("secrets:post", principal("member"))


class TestTarget:
    def test_an_unknown_user_is_not_the_unknown_creator(self):
        private = Target(kind="secret", project_id=OUR_PROJECT, creator_id=None, project_access=False)

        assert not policy.allows("secret:get", principal("member", user_id=None), private)

    @pytest.mark.parametrize("word", ["None", "", "%(target.secret.creator_id)s", "read"])
    def test_a_user_id_that_reads_like_policy_language_matches_nothing(self, word):
        private = Target(kind="secret", project_id=OUR_PROJECT, creator_id=None, project_access=False)

        assert not policy.allows("secret:get", principal("member", user_id=word), private)

    def test_project_ids_are_compared_exactly(self):
        upper = Target(kind="secret", project_id=OUR_PROJECT.upper(), creator_id=None)

        assert not policy.allows("secret:get", principal("member"), upper)

    def test_nothing_from_a_request_can_become_a_fact(self):
        # CVE-2022-3100: a query string such as ?target.secret.read=read overrode the facts
        with pytest.raises(TypeError):
            Target(kind="secret", project_id="p", creator_id=None, **{"target.secret.read": "read"})

    def test_its_facts_are_these_and_no_others(self):
        target = Target(kind="secret", project_id="p", creator_id="u", is_acl_reader=True)

        assert target.facts() == {
            "target.kind": "secret",
            "target.secret.project_id": "p",
            "target.secret.creator_id": "u",
            "target.secret.read": "read",
            "target.secret.read_project_access": True,
        }

    def test_facts_changed_by_a_caller_do_not_change_the_target(self):
        foreign = Target(kind="secret", project_id=OTHER_PROJECT, creator_id=SOMEBODY)

        foreign.facts()["target.secret.project_id"] = OUR_PROJECT

        assert not policy.allows("secret:decrypt", principal("member"), foreign)

    def test_no_parameter_takes_request_data(self):
        with pytest.raises(TypeError):
            policy.require("secret:get", principal("member"), {"target.secret.read": "read"}, request=None)


class TestListRules:
    @pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
    def test_every_rule_is_documented_for_operators(self, rule):
        documented = rule.documented("secure")

        assert documented.description.endswith(".")
        assert documented.operations
        assert all(operation["method"].isupper() for operation in documented.operations)
        assert all(operation["path"].startswith("/v1/") for operation in documented.operations)
        assert documented.scope_types == ["project"]

    def test_names_barbicans_policy_files_use_exist(self):
        names = {rule.name for rule in defaults("secure")}

        for kind in ("secret", "container"):
            assert {
                f"{kind}_project_match",
                f"{kind}_project_member",
                f"{kind}_project_admin",
                f"{kind}_owner",
                f"{kind}_is_not_private",
                f"{kind}_acl_read",
                f"{kind}_private_read",
                f"{kind}_creator_user",
                f"{kind}_non_private_read",
                f"{kind}_project_creator",
                f"{kind}_project_creator_role",
            } <= names
        assert {"admin", "all_users", "all_but_audit", "admin_or_creator", "order_project_member"} <= names
