import math
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings

from keepsite.api.limits.counters import Block, SharedCounters
from keepsite.api.limits.rules import LimitsFileInvalid, Rule, read_rules
from keepsite.errors import LimitReached
from keepsite.identity.principal import Principal
from keepsite.memcached import is_address


@dataclass(frozen=True, slots=True, kw_only=True)
class Remaining:
    """What a caller has left of one limit."""

    rule: Rule
    remaining: int
    next_available: datetime  # now where nothing was used, else the end of the block


class Limiter:
    """The rules in force and the counters they are kept with."""

    def __init__(self, rules: Sequence[Rule], counters: SharedCounters, *, processes: int) -> None:
        self.rules = tuple(rules)
        self.counters = counters
        self._processes = processes

    def charge(self, caller: Principal, *, method: str, path: str) -> None:
        """Count a request against every limit it falls under, in the file's order.

        A refused request counts too, but not against the limits after the one that refuses it.

        Raises:
            LimitReached: one of them is used up.
        """
        for rule in self.rules:
            captured = rule.captured(method, path)
            if captured is None:
                continue
            name = rule.counter_name(caller, captured)
            block = self.counters.hit(name, block_s=rule.unit.value)
            if block.count > self._allowed(rule, block):
                raise _refusal(rule, method, block)

    def remaining(self, caller: Principal, *, path: str = "") -> Iterator[Remaining]:
        """What ``caller`` has left of every limit.

        Limits that count each captured text apart are shown for ``path``; where they do
        not match it, as if unused.
        """
        for rule in self.rules:
            captured = rule.captured_of(path) if rule.captures else ()
            block = None
            if captured is not None:
                block = self.counters.read(rule.counter_name(caller, captured))
            yield self._remaining_of(rule, block)

    def _remaining_of(self, rule: Rule, block: Block | None) -> Remaining:
        now = datetime.now(UTC)
        if block is None:
            return Remaining(rule=rule, remaining=rule.value, next_available=now)
        return Remaining(
            rule=rule,
            remaining=max(0, self._allowed(rule, block) - block.count),
            next_available=datetime.fromtimestamp(block.ends_at, UTC),
        )

    def _allowed(self, rule: Rule, block: Block) -> int:
        """The rule's value; while this process counts alone, its share of it, but something."""
        return rule.value if block.is_shared else math.ceil(rule.value / self._processes)


def _refusal(rule: Rule, method: str, block: Block) -> LimitReached:
    # another node's clock may have named the end: never tell anything absurd
    wait_s = min(max(math.ceil(block.ends_at - time.time()), 1), rule.unit.value)
    return LimitReached(
        f"This {rule.per.value} may send {rule.value} requests per {rule.unit.name.lower()} to {rule.uri}"
        f" ({rule.id}), and this {method} is one more. Try again in {wait_s} s.",
        retry_after_s=wait_s,
    )


_in_force: Limiter | None = None
_making = threading.Lock()


def _limiter() -> Limiter:
    global _in_force  # noqa: PLW0603  # one per process, made on first use
    if _in_force is None:
        with _making:
            if _in_force is None:
                _in_force = _made_from_settings()
    return _in_force


def _made_from_settings() -> Limiter:
    rules = read_rules(Path(settings.LIMITS_FILE)) if settings.LIMITS_FILE else ()
    return Limiter(
        rules, SharedCounters(settings.LIMITS_MEMCACHED if rules else ()), processes=settings.LIMITS_PROCESSES
    )


def charge(caller: Principal, *, method: str, path: str) -> None:
    """Count a request of ``caller``, whose body has not been read yet.

    Costs nothing where there is no limits file.

    Raises:
        LimitReached: a limit is used up.
        LimitsFileInvalid: the limits file cannot be used; a system check says so before.
    """
    _limiter().charge(caller, method=method, path=path)


def remaining(caller: Principal, *, path: str = "") -> list[Remaining]:
    """What ``caller`` has left of every limit, in the file's order."""
    return list(_limiter().remaining(caller, path=path))


def problems_of_settings() -> list[str]:
    """What is wrong with limits file and memcached addresses, one sentence each, for a system check."""
    problems = [
        f"KEEPSITE_LIMITS_MEMCACHED names {server!r}, which is not an address such as 192.0.2.1:11211."
        for server in settings.LIMITS_MEMCACHED
        if not is_address(server)
    ]
    if settings.LIMITS_FILE:
        path = Path(settings.LIMITS_FILE)
        try:
            read_rules(path)
        except LimitsFileInvalid as error:
            problems += [f"The limits file {path} cannot be used: {problem}." for problem in error.problems]
    return problems


def reset() -> None:
    """Forget rules and connections; the next request reads settings and file anew."""
    global _in_force  # noqa: PLW0603  # see _limiter
    if _in_force is not None:
        _in_force.counters.close()
    _in_force = None
