"""Copy a node's audit files into the database, line by line, as segments of the node's chain.

It runs beside the requests, never within one: in the relay, or by ``audit_collect``.
"""

import fcntl
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from django.utils import timezone

from keepsite import writes
from keepsite.errors import KeepsiteError
from keepsite.ids import is_id, new_id
from keepsite.trail.digests import BEGINNING, line_hash, segment_digest
from keepsite.trail.models import AuditChain, AuditRecord, AuditSegment
from keepsite.trail.reading import columns, parsed

log = structlog.get_logger(__name__)

EVERY_S = 2.0
MAX_LINES = 500  # of a segment
MAX_BYTES = 4_000_000  # of a segment; a line is some hundred
LONGEST_PAUSE_S = 30.0
SETTLED_S = 10.0  # after its last append a day's file is left for the next day's


class Copies(StrEnum):
    """Which records are copied; all are chained."""

    ALL = "all"  # every call
    ACTS = "acts"  # whatever did something: reads of payloads, changes, acts of operators and workers
    OPERATORS = "operators"  # acts of operators, commands and workers


class Collector:
    """Brings what is new in one audit folder to the database."""

    def __init__(self, folder: Path, *, node: str, copies: Copies) -> None:
        self.folder = folder
        self._node = node
        self._copies = copies
        self._seen: tuple[str, int] | None = None  # file and position up to which all is collected
        self._complained_of: set[str] = set()

    def collect(self) -> int:
        """Make one segment of what is new; how many lines it has, 0 if nothing is new.

        The segment and its copies are committed on return.

        Raises:
            OSError: the files cannot be read.
            DatabaseError, Unavailable: the database is away.
        """
        if self._seen is not None and not self._has_more(*self._seen):
            return 0
        chain = self._chain()
        last = chain.segments.order_by("-number").first()
        self._seen = (last.file, last.end) if last else None
        for path in self._files():
            start = last.end if last and path.name == last.file else 0
            lines = self._new_lines(path, start)
            if lines:
                self._store(chain, last, path.name, start, lines)
                return len(lines)
            self._seen = (path.name, start)
            if path.stat().st_mtime > time.time() - SETTLED_S:
                break  # at midnight a process may still be about to append to the old day's
        return 0

    def _files(self) -> list[Path]:
        """Files from the last collected one on, oldest first; names sort by day."""
        first = self._seen[0] if self._seen else ""
        return [path for path in sorted(self.folder.glob("audit-*.jsonl")) if path.name >= first]

    def _has_more(self, file: str, position: int) -> bool:
        return any(path.stat().st_size > (position if path.name == file else 0) for path in self._files())

    def _chain(self) -> AuditChain:
        """The folder's chain, begun now if it has none; its id stands in the folder."""
        note = self.folder / "chain"
        chain_id = note.read_text().strip() if note.exists() else ""
        if not is_id(chain_id):
            chain_id = new_id()
            _write_durably(note, f"{chain_id}\n")
        rows = AuditChain.objects.filter(id=chain_id)
        chain = rows.first()
        if chain is None:
            chain = AuditChain(id=chain_id, node=self._node)
            writes.commit(lambda: chain.save(force_insert=True), committed=rows.exists)
            log.info("audit.chain_begun", chain=chain_id, node=self._node)
        return chain

    def _new_lines(self, path: Path, start: int) -> list[bytes]:
        """Whole lines from ``start`` on; one that is still being written waits for the next time."""
        size = path.stat().st_size
        if size < start and path.name not in self._complained_of:
            self._complained_of.add(path.name)
            log.critical("audit.file_cut_short", file=path.name, collected_bytes=start, size_bytes=size)
        with path.open("rb") as file:
            file.seek(start)
            block = file.read(MAX_BYTES)
        *lines, _unfinished = block.split(b"\n")
        return [line + b"\n" for line in lines[:MAX_LINES]]

    def _store(
        self, chain: AuditChain, last: AuditSegment | None, file: str, start: int, lines: list[bytes]
    ) -> None:
        block = b"".join(lines)
        texts = [line[:-1].decode(errors="backslashreplace") for line in lines]
        copied = [text for text in texts if self._is_copied(text)]
        segment = AuditSegment(
            chain=chain,
            number=last.number + 1 if last else 1,
            file=file,
            start=start,
            end=start + len(block),
            lines=len(lines),
            bytes_digest=hashlib.sha256(block).hexdigest(),
            row_hashes=b"".join(map(line_hash, copied)),
            previous_digest=last.digest if last else BEGINNING,
            collected_at=timezone.now(),
        )
        segment.digest = segment_digest(segment)
        records = [
            AuditRecord(
                segment=segment,
                position=position,
                line=text,
                **columns(text, collected_at=segment.collected_at),
            )
            for position, text in enumerate(copied)
        ]

        def insert() -> None:
            segment.save(force_insert=True)
            AuditRecord.objects.bulk_create(records, batch_size=MAX_LINES)

        writes.commit(insert, committed=AuditSegment.objects.filter(id=segment.id).exists)
        self._seen = (file, segment.end)

    def _is_copied(self, line: str) -> bool:
        record = parsed(line)
        if record is None or self._copies == Copies.ALL or record.get("kind") == "act":
            return True
        return self._copies == Copies.ACTS and bool(record.get("acts"))


def keep_collecting(stop: threading.Event) -> None:
    """Collect this node's files until ``stop`` is set; one process of a node does, the others stand by."""
    folder = Path(settings.AUDIT_DIR)
    collector = Collector(folder, node=settings.NODE_NAME, copies=Copies(settings.AUDIT_COPIES))
    failures = 0
    while not stop.is_set():
        collected = 0
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with alone(folder) as is_mine:
                while is_mine and not stop.is_set():
                    collected = collector.collect()
                    failures = 0
                    if not collected:
                        stop.wait(EVERY_S)
        except (OSError, DatabaseError, KeepsiteError) as error:
            failures += 1
            log.warning("audit.not_collected", error=type(error).__name__, failures=failures)
        finally:
            connection.close()
        stop.wait(min(EVERY_S * max(failures, 1), LONGEST_PAUSE_S))


@contextmanager
def alone(folder: Path) -> Iterator[bool]:
    """Whether nobody else collects this folder; a killed process's claim ends with it.

    Source: flock(2).
    """
    descriptor = os.open(folder / ".collector", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _write_durably(path: Path, text: str) -> None:
    with path.open("w") as file:
        path.chmod(0o600)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
