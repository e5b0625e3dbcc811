"""Check strings made into plain functions.

oslo.policy reads its own check classes' signatures with ``inspect`` at every
node of every check: about 350 us for one of ours, on every request.  The
checks are therefore walked once, when the policy file is read, and what is
left are closures that answer in a few microseconds.  Checks that we do not
know, such as ``http:`` or a deployment's own, run as they are.
"""

import ast
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from oslo_policy import policy
from oslo_policy.policy import Enforcer, RuleDefault

from keepsite.identity.policy.target import Facts

Credentials: TypeAlias = dict[str, Any]
Decision: TypeAlias = Callable[[Facts, Credentials], bool]

# What a check may compare with one value; a list, such as the roles, oslo.policy searches itself.
SCALAR_CREDENTIALS = frozenset({"user_id", "user", "project_id", "project"})

# The leaves have no public names: take the classes from what the parser makes.
_RoleCheck = type(RuleDefault("", "role:x").check)
_GenericCheck = type(RuleDefault("", "x:y").check)
_TrueCheck = type(RuleDefault("", "@").check)
_FalseCheck = type(RuleDefault("", "!").check)


class CheckInvalid(ValueError):
    """A check cannot be evaluated: it refers to an unknown rule, to itself, or is malformed."""


def compile_rule(name: str, enforcer: Enforcer) -> Decision:
    """Return a function that decides rule ``name`` as ``enforcer`` would.

    The rules it refers to are built in: a later change to ``enforcer`` does not
    reach it.

    Raises:
        CheckInvalid: the check could not be evaluated; the message says why.
    """
    return _Compiler(name, enforcer).decide_rule(name, seen=())


class _Compiler:
    def __init__(self, name: str, enforcer: Enforcer) -> None:
        self.name = name
        self.enforcer = enforcer

    def decide_rule(self, name: str, seen: tuple[str, ...]) -> Decision:
        if name in seen:
            raise CheckInvalid(f"rule {name} refers to itself ({' -> '.join((*seen, name))})")
        if name not in self.enforcer.rules:
            raise CheckInvalid(f"rule {seen[-1]} refers to rule {name}, which does not exist")
        return self.decide(self.enforcer.rules[name], (*seen, name))

    def decide(self, check: Any, seen: tuple[str, ...]) -> Decision:  # noqa: PLR0911 - one answer per class
        """Return the function for one node; Any, since oslo.policy keeps its base class private."""
        cls = type(check)  # exactly these: a subclass may decide otherwise
        if cls is policy.RuleCheck:
            return self.decide_rule(check.match, seen)
        if cls is policy.AndCheck:
            return _all([self.decide(part, seen) for part in check.rules])
        if cls is policy.OrCheck:
            return _any([self.decide(part, seen) for part in check.rules])
        if cls is policy.NotCheck:
            return _not(self.decide(check.rule, seen))
        if cls is _TrueCheck or cls is _FalseCheck:
            return _always(answer=cls is _TrueCheck)
        if cls is _RoleCheck:
            return _has_role(check.match)
        if cls is _GenericCheck:
            return self.decide_comparison(check)
        return self.as_it_is(check)

    def decide_comparison(self, check: policy.Check) -> Decision:
        """``left:right``, where left is a literal or a credential, right a text with target attributes."""
        right = _filled(check.match)
        try:
            literal = str(ast.literal_eval(check.kind))
        except ValueError:
            pass
        except SyntaxError as error:
            raise CheckInvalid(f"the left side of {check} is neither a credential nor a literal") from error
        else:
            return lambda facts, _credentials: right(facts) == literal
        name = check.kind
        if name not in SCALAR_CREDENTIALS:
            return self.as_it_is(check)

        def credential_matches(facts: Facts, credentials: Credentials) -> bool:
            value = credentials.get(name)
            return value is not None and right(facts) == value

        return credential_matches

    def as_it_is(self, check: Any) -> Decision:
        name, enforcer = self.name, self.enforcer
        return lambda facts, credentials: bool(check(facts, credentials, enforcer, name))


def _always(*, answer: bool) -> Decision:
    return lambda _facts, _credentials: answer


def _all(parts: list[Decision]) -> Decision:
    def decide(facts: Facts, credentials: Credentials) -> bool:
        for part in parts:  # noqa: SIM110 - a generator would double the time
            if not part(facts, credentials):
                return False
        return True

    return decide


def _any(parts: list[Decision]) -> Decision:
    def decide(facts: Facts, credentials: Credentials) -> bool:
        for part in parts:  # noqa: SIM110 - a generator would double the time
            if part(facts, credentials):
                return True
        return False

    return decide


def _not(part: Decision) -> Decision:
    return lambda facts, credentials: not part(facts, credentials)


def _has_role(match: str) -> Decision:
    role = _filled(match)

    def decide(facts: Facts, credentials: Credentials) -> bool:
        wanted = role(facts)
        return wanted is not None and wanted.lower() in credentials["roles"]

    return decide


def _filled(match: str) -> Callable[[Mapping[str, Any]], str | None]:
    """Return a function that fills a check's right side from the facts: None where one is missing."""
    anything: Mapping[str, Any] = defaultdict(str)
    try:
        constant = match % anything
    except (TypeError, ValueError) as error:
        raise CheckInvalid(
            f"{match} is not a text with attributes such as %(target.secret.project_id)s"
        ) from error
    if "%" not in match:
        return lambda _facts: constant

    def fill(facts: Mapping[str, Any]) -> str | None:
        try:
            return match % facts
        except KeyError:
            return None

    return fill
