"""Work that is due at intervals: on any number of workers, by one of them at a time.

Each job has a row; a worker takes it by a conditional UPDATE with a lease, by the
database's clock.  That holds on every node of a Galera cluster, needs no table lock and
no special node.  An app registers its jobs in its ``AppConfig.ready``.
"""

from keepsite.schedule.registry import Job, jobs, register

__all__ = ["Job", "jobs", "register"]
