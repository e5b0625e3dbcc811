"""One report of each node every ten seconds, by whichever of its processes holds the node's lock."""

import fcntl
import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from hsm.errors import ConfigInvalid
from hsm.footprint import footprint
from hsm.provider import hsm
from keepsite import writes
from keepsite.errors import KeepsiteError
from keepsite.fleet import reports
from keepsite.fleet.members import MemberWatcher
from keepsite.fleet.models import HSMMember, NodeReport
from keepsite.fleet.reading import read
from keepsite.fleet.readings import MemberReading, Reading

log = structlog.get_logger(__name__)

FIRST_S = 3.0  # by then the process has asked its HSM
EVERY_S = 10.0


class NodeLock:
    """Held by one process of the node at a time, until it ends.

    Source: flock(2): the lock goes with the process.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1

    def is_ours(self) -> bool:
        """Whether this process has it, or gets it now."""
        if self._file >= 0:
            return True
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._file = file
        return True


class Reporter:
    """Works in a thread of each process that serves; a database that is away costs reports, nothing else."""

    def __init__(self) -> None:
        self._lock = NodeLock(settings.STATE_DIR / "report.lock")
        self._before: Reading | None = None
        self._began_at = 0.0
        self._requests: list[Any] = []  # Any: as ``reports`` writes it
        self._calls: dict[str, list[Any]] = {}  # by member; Any: as above
        self._known: set[str] = set()
        self._watcher = MemberWatcher()
        self._is_cut_off = False

    def start(self) -> threading.Thread:
        """Report from now on, in a thread of its own."""
        thread = threading.Thread(target=self._run, name="fleet-reporter", daemon=True)
        thread.start()
        return thread

    def beat(self, *, now: float) -> None:
        """Tell what this process saw, follow what operators want of it, and report if that is its to do."""
        try:
            self._watcher.look()
            if self._lock.is_ours():
                self._report(now)
        except (DatabaseError, KeepsiteError, OSError) as error:
            if not self._is_cut_off:
                log.warning("fleet.not_reported", error=type(error).__name__, reason=str(error))
            self._is_cut_off = True
        else:
            self._is_cut_off = False

    def _run(self) -> None:
        time.sleep(FIRST_S)
        while True:
            self.beat(now=time.time())
            connection.close()  # ten seconds are long for a connection that nobody uses
            time.sleep(EVERY_S)

    def _report(self, now: float) -> None:
        after = read()
        if self._before is None:
            self._take_over(now)
        else:
            self._count(self._before, after, minute=int(now // reports.MINUTE_S))
        self._before = after
        self._store(after, now=datetime.fromtimestamp(now, UTC))

    def _take_over(self, now: float) -> None:
        """Go on where another process of this node ended, if that is not long ago."""
        self._began_at = now
        last = NodeReport.objects.filter(node=settings.NODE_NAME).first()
        if last is not None and last.told_at.timestamp() > now - reports.STALE_AFTER_S:
            self._began_at = last.began_at.timestamp()
            self._requests = last.requests
            self._calls = {name: told["minutes"] for name, told in last.members.items()}

    def _count(self, before: Reading, after: Reading, *, minute: int) -> None:
        one = reports.requests_between(before, after, minute=minute)
        self._requests = reports.kept(self._requests, one.written(), minutes_kept=reports.KEPT_MINUTES)
        for name, member in after.members.items():
            calls = reports.calls_between(
                before.members.get(name, MemberReading()), member, minute=minute
            ).written()
            self._calls[name] = reports.kept(
                self._calls.get(name, []), calls, minutes_kept=reports.KEPT_HSM_MINUTES
            )

    def _store(self, reading: Reading, *, now: datetime) -> None:
        rows = NodeReport.objects.filter(node=settings.NODE_NAME)
        told: dict[str, Any] = {  # Any: columns
            "told_at": now,
            "began_at": datetime.fromtimestamp(self._began_at, UTC),
            "requests": self._requests,
            "members": self._members(reading),
            "queues": reading.queues,
        }
        new = reading.members.keys() - self._known

        def store() -> None:
            if not rows.update(**told):
                NodeReport(node=settings.NODE_NAME, **told).save(force_insert=True)
            if new:
                HSMMember.objects.bulk_create([HSMMember(name=name) for name in new], ignore_conflicts=True)

        writes.commit(store, committed=rows.filter(told_at=now).exists)
        self._known |= new

    def _members(self, reading: Reading) -> dict[str, Any]:  # Any: JSON
        room = _room()
        return {
            name: {
                "states": member.states,
                "in_flight": member.in_flight,
                "sessions": member.sessions,
                "keys": member.keys,
                "errors": member.errors,
                "last_canary_at": member.last_canary_at,
                "minutes": self._calls.get(name, []),
                **room.get(name, {}),
            }
            for name, member in reading.members.items()
        }


def _room() -> dict[str, dict[str, Any]]:  # Any: JSON
    """What the configuration and the tokens allow, by member; None where nobody said a number."""
    try:
        token = hsm()
    except ConfigInvalid:
        return {}
    need = footprint(token.config)
    return {
        status.name: {
            "token": status.token_label,
            "weight": status.weight,
            "sessions_allowed": status.limits.sessions if status.limits else None,
            "keys_most": need.objects,
            "objects_allowed": token.config.session_object_budget,
        }
        for status in token.status()
    }
