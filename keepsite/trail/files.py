"""Whether a node's audit files still are what was collected from them."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from keepsite.errors import NotFound
from keepsite.trail.models import AuditChain, AuditSegment


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReport:
    """What became of a folder's files: findings; days whose files were moved away are no finding."""

    chain: AuditChain
    segments: int
    absent: tuple[str, ...]
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
        OSError: a file cannot be read.
    """
    chain = chain_of(folder)
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
    findings += _never_collected(folder, chain)
    return FileReport(chain=chain, segments=count, absent=tuple(absent), findings=tuple(findings))


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


def _never_collected(folder: Path, chain: AuditChain) -> Iterator[str]:
    """Bytes of days before the last collected one, behind what was collected of them."""
    last = chain.segments.order_by("-number").first()
    for path in sorted(folder.glob("audit-*.jsonl")):
        if last is None or path.name >= last.file:
            return
        of_it = chain.segments.filter(file=path.name).order_by("-number").first()
        end = of_it.end if of_it else 0
        if path.stat().st_size > end:
            yield f"{path.name} has {path.stat().st_size - end} bytes behind what was collected of it."
