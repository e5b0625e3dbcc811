"""The append-only files that audit records are written to."""

import json
import os
import threading
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings


class AuditFile:
    """One file per node and day, shared by the node's processes, private to the user.

    A record is one line of JSON, given to the system in one append: lines of several
    processes never mix, and a process killed after that has lost nothing.  Nothing
    here can change or remove a record.

    Source: POSIX.1-2017 write(2), O_APPEND.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._day = ""
        self._descriptor = -1

    def open(self) -> None:
        """Open today's file, so that a folder that cannot be written is noticed before any work is done.

        Raises:
            OSError: it cannot be opened.
        """
        with self._lock:
            self._follow_the_day()

    def append(self, record: dict[str, Any]) -> None:
        """Write ``record``; on return the system has it.

        Raises:
            OSError: it could not be written; what it tells of must not be answered with success.
        """
        line = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            self._follow_the_day()
            written = os.write(self._descriptor, line)
        if written != len(line):
            raise OSError(f"audit record cut short: {written} of {len(line)} bytes")

    def _follow_the_day(self) -> None:
        day = f"{datetime.now(UTC):%Y%m%d}"
        if day == self._day:
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / f"audit-{day}.jsonl"
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._day = descriptor, day


@lru_cache(maxsize=1)
def audit_file() -> AuditFile:
    """The process's audit file."""
    return AuditFile(Path(settings.AUDIT_DIR))
