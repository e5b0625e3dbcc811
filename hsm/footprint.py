"""What all processes together take of a token, and whether it has so much."""

from collections import Counter
from dataclasses import dataclass

from hsm.config import KEEPERS, HSMConfig
from hsm.native import TokenLimits

_PASSING_SESSIONS = 1  # a canary, a search: opened, used and closed again


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """The most that ``processes`` may hold of one member's token at a time: sessions, session objects.

    ``all_objects`` is that of all members; ``shared_objects`` that of the members of one module, which
    are slots or partitions of one appliance, where they are most.
    """

    processes: int
    sessions: int
    objects: int
    all_objects: int
    shared_objects: int


def footprint(config: HSMConfig) -> Footprint:
    """Return what the configuration may take: each process has its own pool, keepers and handle cache."""
    sessions = config.pool_size + min(KEEPERS, config.pool_size) + _PASSING_SESSIONS
    objects = config.processes * config.cache_max_keys
    return Footprint(
        processes=config.processes,
        sessions=config.processes * sessions,
        objects=objects,
        all_objects=objects * len(config.members),
        shared_objects=objects * _most_of_one_module(config),
    )


def beyond_budget(config: HSMConfig) -> str | None:
    """Return what is wrong if the handle caches may outgrow the token's room for session objects."""
    need, room = footprint(config), config.session_object_budget
    if room is None or need.shared_objects <= room:
        return None
    return f"{_objects_of(config, need)}, and session_object_budget is {room}"


def beyond_memory(config: HSMConfig, limits: TokenLimits) -> str | None:
    """Return what is wrong if the handle caches may outgrow the memory that the token itself says it has.

    All processes together must fit into all of it; one that starts, beside others that hold theirs
    already, into what is free.
    """
    need, each_bytes = footprint(config), config.profile.session_object_bytes
    all_bytes = need.shared_objects * each_bytes
    if limits.private_bytes is not None and all_bytes > limits.private_bytes:
        return (
            f"{_objects_of(config, need)}, some {all_bytes} bytes, and its private memory is"
            f" {limits.private_bytes} bytes"
        )
    own_bytes = config.cache_max_keys * _most_of_one_module(config) * each_bytes
    if limits.free_private_bytes is not None and own_bytes > limits.free_private_bytes:
        return (
            f"one process may hold {config.cache_max_keys} session objects for each member, some {own_bytes}"
            f" bytes, and {limits.free_private_bytes} bytes of the token's private memory are free"
        )
    return None


def beyond_limits(config: HSMConfig, limits: TokenLimits) -> str | None:
    """Return what is wrong if the pools may outgrow the sessions that the token itself says it has."""
    need = footprint(config)
    bounds = [limits.sessions, limits.read_write_sessions if config.profile.read_write_sessions else None]
    room = min((bound for bound in bounds if bound is not None), default=None)
    if room is None or need.sessions <= room:
        return None
    return f"{need.processes} processes may open {need.sessions} sessions on the token, and it allows {room}"


def _objects_of(config: HSMConfig, need: Footprint) -> str:
    members = _most_of_one_module(config)
    where = "a token" if members == 1 else f"the {members} tokens of one module"
    return (
        f"{need.processes} processes with {config.cache_max_keys} cached keys each may hold "
        f"{need.shared_objects} session objects on {where}"
    )


def _most_of_one_module(config: HSMConfig) -> int:
    return max(Counter(member.module for member in config.members).values())
