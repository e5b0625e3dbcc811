from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Something to do every so often.

    ``run`` is given the monotonic time at which it must have returned, some 40 s ahead,
    and says whether all is done; if not, it is run again at once.  It may be killed at any
    moment and run again, so what it does is repeatable.
    """

    name: str  # "secrets.purge"; at most 64 characters
    every_s: float
    run: Callable[[float], bool]


_jobs: dict[str, Job] = {}


def register(job: Job) -> None:
    """Have ``job`` run by the workers from now on; a second one of its name takes its place."""
    _jobs[job.name] = job


def jobs() -> Mapping[str, Job]:
    """Every registered job by its name."""
    return _jobs
