"""How much this node works on, over all its processes, for whoever waits until it is drained.

API processes count requests, workers themselves.

Each process keeps a number in a small mapped file, which it holds locked while it lives, so that
what a killed process leaves behind is told from what is under way.

Source: flock(2): the lock goes with the process.
"""

import fcntl
import mmap
import os
import struct
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

_COUNT = struct.Struct("=q")


class InFlight:
    """One process's number; as a context manager it counts the request inside."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._changing = threading.Lock()
        self._count = 0
        self._pid = 0
        self._file = -1
        self._map: mmap.mmap | None = None

    def __enter__(self) -> Self:
        self._add(1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._add(-1)

    def _add(self, change: int) -> None:
        with self._changing:
            if self._map is None or self._pid != os.getpid():
                self._map = self._new_file()
            self._count += change
            _COUNT.pack_into(self._map, 0, self._count)

    def _new_file(self) -> mmap.mmap:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._pid, self._count = os.getpid(), 0
        self._file = os.open(self._folder / str(self._pid), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        os.ftruncate(self._file, _COUNT.size)
        return mmap.mmap(self._file, _COUNT.size)


def requests_in_flight(folder: Path) -> int:
    """The sum over the processes that live; what dead ones left is removed.

    Raises:
        OSError: the folder is there and cannot be read.
    """
    total = 0
    for path in folder.glob("[0-9]*"):
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if _is_orphan(file):
                path.unlink()
            else:
                content = os.pread(file, _COUNT.size, 0)
                total += _COUNT.unpack(content)[0] if len(content) == _COUNT.size else 0
        finally:
            os.close(file)
    return total


def _is_orphan(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
