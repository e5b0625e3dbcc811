"""What all processes together take of a token, and whether it has so much."""

from dataclasses import dataclass

from hsm.config import KEEPERS, HSMConfig
from hsm.native import TokenLimits

_PASSING_SESSIONS = 1  # a canary, a search: opened, used and closed again


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """The most that ``processes`` may hold of one member's token at a time: sessions, session objects.

    ``all_objects`` is that of all members, for slots or partitions of one appliance.
    """

    processes: int
    sessions: int
    objects: int
    all_objects: int


def footprint(config: HSMConfig) -> Footprint:
    """Return what the configuration may take: each process has its own pool, keepers and handle cache."""
    sessions = config.pool_size + min(KEEPERS, config.pool_size) + _PASSING_SESSIONS
    objects = config.processes * config.cache_max_keys
    return Footprint(
        processes=config.processes,
        sessions=config.processes * sessions,
        objects=objects,
        all_objects=objects * len(config.members),
    )


def beyond_budget(config: HSMConfig) -> str | None:
    """Return what is wrong if the handle caches may outgrow the token's room for session objects."""
    need, room = footprint(config), config.session_object_budget
    if room is None or need.objects <= room:
        return None
    return (
        f"{need.processes} processes with {config.cache_max_keys} cached keys each may hold {need.objects} "
        f"session objects on a token, and session_object_budget is {room}"
    )


def beyond_limits(config: HSMConfig, limits: TokenLimits) -> str | None:
    """Return what is wrong if the pools may outgrow the sessions that the token itself says it has."""
    need = footprint(config)
    bounds = [limits.sessions, limits.read_write_sessions if config.profile.read_write_sessions else None]
    room = min((bound for bound in bounds if bound is not None), default=None)
    if room is None or need.sessions <= room:
        return None
    return f"{need.processes} processes may open {need.sessions} sessions on the token, and it allows {room}"
