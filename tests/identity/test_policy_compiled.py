"""The plain functions answer as oslo.policy itself does."""

from itertools import product

import pytest
from oslo_config import cfg
from oslo_policy import _checks
from oslo_policy.policy import Check, Enforcer, RuleDefault

from keepsite.identity.policy.compiled import CheckInvalid, compile_rule
from keepsite.identity.policy.defaults import defaults
from keepsite.identity.policy.rules import RULES
from keepsite.identity.policy.target import Target

CREDENTIALS = [
    {"project_id": "p", "project": "p", "user_id": "u", "user": "u", "roles": list(roles)}
    for roles in [(), ("reader",), ("member",), ("admin",), ("creator",), ("observer", "audit")]
] + [{"project_id": "p", "project": "p", "roles": ["member"]}]


def enforcer_with(checks: dict[str, str]) -> Enforcer:
    enforcer = Enforcer(cfg.ConfigOpts(), use_conf=False)
    enforcer.set_rules({name: RuleDefault(name, check).check for name, check in checks.items()})
    return enforcer


def targets(kind: str) -> list[Target]:
    return [
        Target(kind=kind, project_id=project, creator_id=creator, project_access=access, is_acl_reader=reader)
        for project, creator, access, reader in product("pq", ("u", None), (True, False), (True, False))
    ]


class TestCompileRule:
    @pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
    def test_our_defaults_are_decided_as_oslo_policy_decides_them(self, rule):
        enforcer = enforcer_with({default.name: default.check_str for default in defaults("both")})
        decide = compile_rule(rule.name, enforcer)

        for kind in rule.about or {"project"}:
            for target, credentials in product(targets(kind), CREDENTIALS):
                facts = target.facts()
                assert decide(facts, credentials) is bool(
                    enforcer.enforce(rule.name, facts, dict(credentials))
                )

    @pytest.mark.parametrize(
        "check",
        [
            "",
            "@",
            "!",
            "not role:member",
            "not (role:member or role:reader)",
            "role:MEMBER",
            "role:%(target.secret.project_id)s",
            "roles:member",
            "roles:owner",
            "user_id:u",
            "user_id:None",
            "nobody:u",
            "nobody.known:u",
            "'u':%(target.secret.creator_id)s",
            "None:%(target.secret.creator_id)s",
            "True:%(target.secret.read_project_access)s",
            "user_id:%(target.secret.nothing)s",
            "not user_id:%(target.secret.nothing)s",
            "'p/u':%(target.secret.project_id)s/%(target.secret.creator_id)s",
            "'100%':100%%",
        ],
    )
    def test_what_an_operator_may_write_is_decided_likewise(self, check):
        enforcer = enforcer_with({"x": check})
        decide = compile_rule("x", enforcer)

        for target, credentials in product(targets("secret"), CREDENTIALS):
            facts = target.facts()
            assert decide(facts, credentials) is bool(enforcer.enforce("x", facts, dict(credentials)))

    def test_a_check_of_the_deployments_own_is_asked_with_the_rules_name(self, monkeypatch):
        asked = []

        class Lunar(Check):
            def __call__(self, target, creds, enforcer, current_rule=None):
                asked.append((self.match, target["target.kind"], creds["user_id"], current_rule))
                return True

        monkeypatch.setitem(_checks.registered_checks, "moon", Lunar)
        decide = compile_rule("x", enforcer_with({"x": "rule:y", "y": "moon:full"}))

        assert decide(targets("secret")[0].facts(), CREDENTIALS[0])
        assert asked == [("full", "secret", "u", "x")]

    def test_a_circle_is_refused(self):
        with pytest.raises(CheckInvalid, match="x -> y -> x"):
            compile_rule("x", enforcer_with({"x": "role:a or rule:y", "y": "rule:x"}))
