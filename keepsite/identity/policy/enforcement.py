"""Decides what callers may do, and picks up a changed policy file while running."""

import logging
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from oslo_config import cfg
from oslo_policy.policy import Enforcer, RuleCheck

from keepsite.errors import NotAllowed
from keepsite.identity.policy.compiled import CheckInvalid, Credentials, Decision, compile_rule
from keepsite.identity.policy.defaults import defaults, role_set_in_use
from keepsite.identity.policy.policy_file import PolicyFileInvalid, read_overrides
from keepsite.identity.policy.rule import RoleSet
from keepsite.identity.policy.rules import RULES
from keepsite.identity.policy.target import Facts, Target
from keepsite.identity.principal import Principal

LOOK_AT_FILE_EVERY_S = 1.0

logger = logging.getLogger(__name__)


class RuleMisused(LookupError):
    """Our own code asked for a rule that does not exist, or about the wrong kind of object."""


class Enforcement:
    """The rules in force: the defaults of one role set under the operator's policy file.

    A changed file is noticed within LOOK_AT_FILE_EVERY_S.  Its rules replace the
    old ones whole, so no thread sees half of them.  A file that has become
    unusable is logged and the rules stay as they were: a slip of the pen neither
    opens the service nor shuts it.  An emptied file returns to the defaults, so
    operators replace the file by renaming rather than write into it.

    Raises:
        PolicyFileInvalid: the file named cannot be used.
    """

    def __init__(self, *, role_set: RoleSet, path: Path | None) -> None:
        self._role_set = role_set
        self._path = path
        self._seen = _state_of(path)
        self._look_again_at = time.monotonic() + LOOK_AT_FILE_EVERY_S
        self._decisions = _compile(role_set, path)

    def allows(self, rule: str, actor: Principal, target: Target | None) -> bool:
        """Return whether ``actor`` passes ``rule``; with a system-scoped token no one does."""
        if self._path is not None and time.monotonic() >= self._look_again_at:
            self._look_at_file()
        if actor.system_scope is not None:
            return False
        facts: Facts = {} if target is None else target.facts()
        return self._decisions[rule](facts, _credentials_of(actor))

    def _look_at_file(self) -> None:
        self._look_again_at = time.monotonic() + LOOK_AT_FILE_EVERY_S
        seen = _state_of(self._path)
        if seen == self._seen:
            return
        try:
            self._decisions = _compile(self._role_set, self._path)
        except PolicyFileInvalid as error:
            logger.error("%s The rules read before stay in force.", error)  # noqa: TRY400 - no news in the trace
        else:
            logger.info("The policy file %s has changed; its rules are in force.", self._path)
        self._seen = seen


def _state_of(path: Path | None) -> tuple[int, int, int] | None:
    """Return what changes when a file is edited or replaced; None where there is no file."""
    if path is None:
        return None
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _compile(role_set: RoleSet, path: Path | None) -> dict[str, Decision]:
    overrides = {} if path is None else read_overrides(path)
    rules = {rule.name: rule for rule in defaults(role_set)} | overrides
    enforcer = Enforcer(cfg.ConfigOpts(), use_conf=False)
    enforcer.set_rules({name: rule.check for name, rule in rules.items()})
    if path is not None:
        problems = list(_problems_of(overrides, enforcer))
        if problems:
            raise PolicyFileInvalid(path, problems)
    return {name: compile_rule(name, enforcer) for name in rules}


def _problems_of(overrides: Iterable[str], enforcer: Enforcer) -> Iterator[str]:
    for name in overrides:
        try:
            compile_rule(name, enforcer)
        except CheckInvalid as error:
            yield f"{name}: {error}"


def _credentials_of(actor: Principal) -> Credentials:
    """Return what check strings may ask of the caller; ``user`` and ``project`` are the names of old files.

    An unknown user is left out: a check must not find that it equals an unknown creator.
    """
    credentials: Credentials = {
        "project_id": actor.project_id,
        "project": actor.project_id,
        "roles": list(actor.roles),
    }
    if actor.user_id is not None:
        credentials["user_id"] = credentials["user"] = actor.user_id
    return credentials


_in_force: Enforcement | None = None


def _enforcement() -> Enforcement:
    global _in_force  # noqa: PLW0603 - one per process, made on first use
    if _in_force is None:
        _in_force = Enforcement(role_set=role_set_in_use(), path=_policy_file())
    return _in_force


def _policy_file() -> Path | None:
    return Path(settings.POLICY_FILE) if settings.POLICY_FILE else None


def reset() -> None:
    """Forget the rules; the next question reads the settings and the policy file anew."""
    global _in_force  # noqa: PLW0603 - see _enforcement
    _in_force = None


def allows(rule: str, actor: Principal, target: Target | None = None) -> bool:
    """Return whether ``actor`` may do what ``rule`` guards.

    ``target`` is the stored object, for rules about one; others take none, or
    any, for policy files to speak of.

    Raises:
        RuleMisused: no such rule, or the target is not of its kind: mend the caller.
        PolicyFileInvalid: POLICY_FILE cannot be used; an operator must act.
    """
    known = RULES.get(rule)
    if known is None:
        raise RuleMisused(f"there is no policy rule {rule!r}")
    if known.about and (target is None or target.kind not in known.about):
        kinds = " or ".join(sorted(known.about))
        raise RuleMisused(f"{rule} is about a {kinds}, not about {target.kind if target else 'nothing'}")
    return _enforcement().allows(rule, actor, target)


def require(rule: str, actor: Principal, target: Target | None = None) -> None:
    """Return if ``actor`` may do what ``rule`` guards: the first line of every service.

    Raises:
        NotAllowed: it may not; the message names the operation and nothing about the object.
        RuleMisused: no such rule, or the target is not of its kind: mend the caller.
        PolicyFileInvalid: POLICY_FILE cannot be used; an operator must act.
    """
    if not allows(rule, actor, target):
        raise NotAllowed(f"{RULES[rule].doing} is not allowed for this user in this project.")


def check_policy_file() -> list[str]:
    """Return what is wrong with POLICY_FILE, one sentence each, for a system check.

    Beyond what keeps the file from being used, these are names that guard
    nothing: mistyped, or of a service that Keepsite is not.
    """
    path = _policy_file()
    if path is None:
        return []
    try:
        _compile(role_set_in_use(), path)
        overrides = read_overrides(path)
    except PolicyFileInvalid as error:
        return [f"The policy file {path} cannot be used: {problem}." for problem in error.problems]
    known = {rule.name for rule in defaults("secure")}
    used = known.union(*(_rules_named_in(override.check) for override in overrides.values()))
    return [
        f"The policy file {path} sets {name}, which guards nothing: no operation and no other rule uses it."
        for name in overrides
        if name not in used
    ]


def _rules_named_in(check: Any) -> Iterator[str]:
    """Yield the rules a check refers to; Any, since oslo.policy keeps its base class private."""
    if isinstance(check, RuleCheck):
        yield check.match
    for part in getattr(check, "rules", ()):
        yield from _rules_named_in(part)
    if hasattr(check, "rule"):
        yield from _rules_named_in(check.rule)
