"""Whether a node's audit files still are what was collected from them."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from keepsite.errors import NotFound
from keepsite.trail.models import AuditChain, AuditSegment
from keepsite.trail.removals import Removal, removal_of


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReport:
    """What became of a folder's files: findings; days whose files were moved away are no finding.

    Of the files in ``uncompared`` the retention removed what they could be compared with.
    """

    chain: AuditChain
    segments: int
    absent: tuple[str, ...]
    uncompared: tuple[str, ...]
    findings: tuple[str, ...]


def chain_of(folder: Path) -> AuditChain:
    """The chain that the folder's files are collected into.

    Raises:
        NotFound: nothing was collected from it, or the database knows nothing of it.
    """
    note = folder / "chain"
    chain = AuditChain.objects.filter(id=note.read_text().strip()).first() if note.exists() else None
    if chain is None:
        raise NotFound(f"Nothing was collected from {folder}, as far as this database knows.")
    return chain


def verify_files(folder: Path) -> FileReport:
    """Compare every segment of the folder's chain with the bytes it was made of.

    Raises:
        NotFound: the folder has no chain.
        Unavailable: no token could serve.
        OSError: a file cannot be read.
    """
    chain = chain_of(folder)
    removal = removal_of(chain)
    removed_until = removal.file if removal else ""
    absent: dict[str, None] = {}
    findings: list[str] = []
    count = 0
    for segment in chain.segments.order_by("number").defer("row_hashes").iterator():
        path = folder / segment.file
        if not path.exists():
            absent[segment.file] = None
            continue
        count += 1
        findings += _differences(path, segment)
    findings += _never_collected(folder, chain, removal)
    return FileReport(
        chain=chain,
        segments=count,
        absent=tuple(absent),
        uncompared=tuple(path.name for path in _files(folder) if path.name < removed_until),
        findings=tuple(findings),
    )


def _files(folder: Path) -> list[Path]:
    """Oldest first."""
    return sorted(folder.glob("audit-*.jsonl"))


def _differences(path: Path, segment: AuditSegment) -> Iterator[str]:
    with path.open("rb") as file:
        file.seek(segment.start)
        block = file.read(segment.end - segment.start)
    if hashlib.sha256(block).hexdigest() != segment.bytes_digest:
        words = "is shorter than" if len(block) < segment.end - segment.start else "is not"
        yield (
            f"{path.name} from byte {segment.start} to {segment.end} {words} what was collected as segment"
            f" {segment.number}."
        )


def _never_collected(folder: Path, chain: AuditChain, removal: Removal | None) -> Iterator[str]:
    """Bytes of days before the last collected one, behind what was collected of them."""
    last = chain.segments.order_by("-number").first()
    for path in _files(folder):
        if last is None or path.name >= last.file:
            return
        if removal is not None and path.name < removal.file:
            continue
        removed = removal.end if removal is not None and path.name == removal.file else 0
        of_it = chain.segments.filter(file=path.name).order_by("-number").first()
        end = max(of_it.end if of_it else 0, removed)
        if path.stat().st_size > end:
            yield f"{path.name} has {path.stat().st_size - end} bytes behind what was collected of it."
