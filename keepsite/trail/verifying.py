"""Whether a chain is whole: every record as it was collected, none missing, none added, sealed by the HSM."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Count, Exists, OuterRef

from keepsite.trail import removals
from keepsite.trail.checkpoints import Statement, opened
from keepsite.trail.digests import BEGINNING, line_hash, segment_digest
from keepsite.trail.models import AuditChain, AuditCheckpoint, AuditRecord, AuditRemoval, AuditSegment, Json
from keepsite.trail.reading import columns
from keepsite.trail.removals import MIN_DAYS, Removal

PAGE_SEGMENTS = 20
MAX_FINDINGS = 100
CLOCKS_AGREE_WITHIN = timedelta(minutes=5)
REMOVED_WITHIN = timedelta(hours=1)  # of the seal that says so; workers finish what was left in half of it
SEALED_WITHIN = timedelta(minutes=10)  # of being collected; seconds, while a worker and the HSM are up


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it was: in which segment, and in words which record."""

    number: int
    words: str
    record: str = ""  # id of the copy, where it is still there

    def written(self) -> Json:
        """As JSON."""
        return asdict(self)


class Check:
    """Goes through a chain's segments in order, from the one after ``after``; findings add up.

    ``digest`` is what segment ``after`` is known to have, by a checkpoint for one.  What
    the retention removed, also while the check is under way, is passed over as far as the
    HSM sealed that it did; ``removal`` then says so.
    """

    def __init__(self, chain: AuditChain, *, after: int = 0, digest: str | None = None) -> None:
        self.chain = chain
        self.number = after
        self.records = 0
        self.segments = 0
        self.findings: list[Finding] = []
        self.removal: Removal | None = None
        self.digest = digest or (BEGINNING if after == 0 else None)  # of segment ``number``
        self._is_removal_refused = False

    def segments_until(self, last: int) -> None:
        """Check all up to number ``last``."""
        while self.next_page(last):
            pass

    def next_page(self, last: int | None = None) -> bool:
        """Check some more; whether there were any."""
        rows = self.chain.segments.filter(number__gt=self.number).order_by("number")
        if last is not None:
            rows = rows.filter(number__lte=last)
        page = list(rows[:PAGE_SEGMENTS])
        copies: dict[str, list[AuditRecord]] = defaultdict(list)
        found = AuditRecord.objects.filter(segment__in=[segment.pk for segment in page])
        for record in found.order_by("segment", "position"):
            copies[record.segment_id].append(record)
        self._follow_removal()
        for segment in page:
            if segment.number > self.number:
                self._segment(segment, copies[segment.pk])
        return bool(page)

    def _follow_removal(self) -> None:
        """Go on behind what was removed.

        A removal is sealed before its first row goes.  So whatever was missing when a page
        was read, and is no deletion by somebody else, is known by now.
        """
        number = self._removal_number()
        if number is None or number < self.number or (number == self.number and self.digest is not None):
            return
        removal = self._known_removal()
        if removal is not None:
            self.number, self.digest = removal.number, removal.digest

    def _removal_number(self) -> int | None:
        found = AuditRemoval.objects.filter(chain=self.chain).values_list("number", flat=True)
        number: int | None = found.first()
        return number

    def _known_removal(self) -> Removal | None:
        """What the chain's removal says now; one that the HSM did not seal is a finding, once."""
        row = removals.row_of(self.chain)
        self.removal = removals.opened(row) if row else None
        if row is not None and self.removal is None and not self._is_removal_refused:
            self._is_removal_refused = True
            words = (
                f"That the retention removed segments up to {row.number} was not sealed by this HSM, or was"
                " changed."
            )
            self._find(row.number, words)
        return self.removal

    def _find(self, number: int, words: str, record: str = "") -> None:
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(Finding(number=number, words=words, record=record))

    def _segment(self, segment: AuditSegment, copies: list[AuditRecord]) -> None:
        if segment.number > self.number + 1:
            gap = _numbers(self.number + 1, segment.number - 1)
            self._find(segment.number - 1, f"{gap} missing: all their records were deleted.")
        elif self.digest is not None and segment.previous_digest != self.digest:
            self._find(
                segment.number, f"Segment {segment.number} does not follow the one before it as that is now."
            )
        if segment.digest != segment_digest(segment):
            self._find(segment.number, f"Segment {segment.number} was changed after it was collected.")
        self._copies(segment, copies)
        self.segments += 1
        self.number, self.digest = segment.number, segment.digest

    def _copies(self, segment: AuditSegment, copies: list[AuditRecord]) -> None:
        hashes = segment.hashes
        by_position = {copy.position: copy for copy in copies}
        self.records += len(copies)
        before = "the segment's beginning"
        for position, wanted in enumerate(hashes):
            copy = by_position.pop(position, None)
            place = f"Record {position + 1} of {len(hashes)} in segment {segment.number}"
            if copy is None:
                self._find(segment.number, f"{place} was deleted: it stood after {before}.")
                continue
            before = f"{copy.action} of {copy.at:%Y-%m-%d %H:%M:%S} UTC"
            if line_hash(copy.line) != wanted:
                moved = "was exchanged with another" if line_hash(copy.line) in hashes else "was changed"
                self._find(segment.number, f"{place} {moved}: it now says {before}.", copy.pk)
            elif self._is_mislabelled(copy, segment.collected_at):
                self._find(segment.number, f"{place} is listed as what it does not say: {before}.", copy.pk)
        for copy in by_position.values():
            words = f"A record was added to segment {segment.number}: {copy.action}"
            self._find(segment.number, f"{words} of {copy.at:%Y-%m-%d %H:%M:%S} UTC.", copy.pk)

    def _is_mislabelled(self, copy: AuditRecord, collected_at: datetime) -> bool:
        return any(
            getattr(copy, name) != value
            for name, value in columns(copy.line, collected_at=collected_at).items()
        )

    def checkpoints(self, *, now: datetime) -> None:
        """Check every checkpoint: that the HSM sealed it, that the chain still has what it says.

        Called once the segments are done.

        Raises:
            Unavailable: no token could serve.
        """
        findings, is_settled = self.findings, False
        while not is_settled:
            self.findings = [*findings]
            number = self._removal_number()
            self._checkpoints_from(self._known_removal(), now=now)
            is_settled = number == self._removal_number()  # or what went meanwhile would seem missing

    def _checkpoints_from(self, removal: Removal | None, *, now: datetime) -> None:
        begins_at = removal.number if removal else 0
        rows = self.chain.checkpoints.select_related("pkek__project", "pkek__mkek").order_by("number")
        previous, newest = 0, None
        statements: list[Statement] = []
        for row in rows.filter(number__gte=begins_at):
            statement = self._opened(row)
            if statement is None:
                previous = row.number
                continue
            statements.append(statement)
            if statement.previous != previous and not (removal and row.number == begins_at):
                words = f"The checkpoint at segment {statement.previous} was deleted."
                self._find(row.number, words)
            previous = row.number
            newest = statement if statement.is_newest else newest
            self._holds(statement)
        if removal is not None:
            self._is_by_retention(removal, statements, now=now)
        self._is_sealed(newest, now=now)

    def _opened(self, row: AuditCheckpoint) -> Statement | None:
        statement = opened(row)
        if statement is None:
            words = f"The checkpoint at segment {row.number} was not sealed by this HSM, or was changed."
            self._find(row.number, words)
        elif statement.is_newest != bool(row.newest_marker):
            self._find(
                row.number,
                f"The checkpoint at segment {row.number} was put back: later ones were deleted.",
            )
        return statement

    def _is_by_retention(self, removal: Removal, statements: list[Statement], *, now: datetime) -> None:
        """Whether the removal kept to its own rule, and has come to its end."""
        gone = f"Segments up to {removal.number} were removed"
        last = next((one for one in statements if one.number == removal.number), None)
        if last is not None and datetime.fromisoformat(last.sealed_at) > removal.limit:
            words = f"{gone} before the last of them was {removal.days} days old."
            self._find(removal.number, words)
        if removal.days < MIN_DAYS:
            words = f"{gone} by a retention of {removal.days} days; none is shorter than {MIN_DAYS}."
            self._find(removal.number, words)
        later = [one.sealed_at for one in statements if one.number > removal.sealed_until]
        if min([now, *map(datetime.fromisoformat, later)]) < removal.moment - CLOCKS_AGREE_WITHIN:
            words = f"{gone} by a clock that ran ahead: it said {removal.moment:%Y-%m-%d %H:%M} UTC."
            self._find(removal.number, words)
        row = removals.row_of(self.chain)
        if row is not None and (row.removed_at, row.days) != (removal.moment, removal.days):
            self._find(removal.number, f"{gone}; when, or by which retention, was changed afterwards.")
        is_over = row is not None and row.gone_until == removal.number
        left = self.chain.segments.filter(number__lte=removal.number).count()
        if left and (is_over or removal.moment < now - REMOVED_WITHIN):
            words = (
                f"{gone} by the retention, yet {left} of them are still there: put back, or not removed after"
                " all."
            )
            self._find(removal.number, words)

    def _holds(self, statement: Statement) -> None:
        if self.removal is not None and statement.number == self.removal.number:
            segment: str | None = self.removal.digest
        else:
            rows = self.chain.segments.filter(number=statement.number)
            segment = rows.values_list("digest", flat=True).first()
        if segment is None:
            words = f"Sealed up to segment {statement.number}, which was deleted; the last is {self.number}."
            self._find(statement.number, words)
        elif segment != statement.digest:
            words = f"Segments up to {statement.number} were replaced after they had been sealed."
            self._find(statement.number, words)

    def _is_sealed(self, newest: Statement | None, *, now: datetime) -> None:
        sealed = newest.number if newest else 0
        overdue = self.chain.segments.filter(number__gt=sealed, collected_at__lt=now - SEALED_WITHIN)
        first = overdue.order_by("number").values_list("number", flat=True).first()
        if first is not None:
            self._find(
                first,
                f"Segments from {first} on are not sealed, though collected more than 10 minutes ago:"
                " the newest checkpoint was deleted, or no worker seals.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a verification found of one chain.

    ``whole_since`` is the moment from which on it is whole up to ``sealed_until``, None
    if no stretch up to the newest checkpoint is.
    """

    chain: AuditChain
    segments: int
    records: int
    findings: tuple[Finding, ...]
    whole_since: datetime | None
    sealed_until: datetime | None
    unsealed_segments: int
    removal: Removal | None = None  # what the retention removed, before ``whole_since``

    @property
    def is_whole(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


def verdict(check: Check, *, now: datetime) -> Verdict:
    """Of a check that is through with its segments: the checkpoints, and since when all is whole.

    Raises:
        Unavailable: no token could serve.
    """
    check.checkpoints(now=now)
    chain = check.chain
    newest = chain.checkpoints.filter(newest_marker=True).first()
    sealed = chain.segments.filter(number=newest.number).first() if newest else None
    return Verdict(
        chain=chain,
        segments=check.number - (check.removal.number if check.removal else 0),
        records=check.records,
        findings=tuple(check.findings),
        whole_since=_whole_since(check, newest),
        sealed_until=sealed.collected_at if sealed else None,
        unsealed_segments=chain.segments.filter(number__gt=newest.number if newest else 0).count(),
        removal=check.removal,
    )


def strays() -> Iterator[str]:
    """What belongs to no chain: records without segment, segments and checkpoints without chain."""
    records = AuditRecord.objects.filter(~Exists(AuditSegment.objects.filter(id=OuterRef("segment_id"))))
    for segment_id, count in records.order_by().values_list("segment_id").annotate(count=Count("id")):
        yield f"{count} records belong to segment {segment_id}, which was deleted."
    for model in (AuditSegment, AuditCheckpoint):
        rows = model.objects.filter(~Exists(AuditChain.objects.filter(id=OuterRef("chain_id"))))
        for chain_id, count in rows.order_by().values_list("chain_id").annotate(count=Count("id")):
            yield f"{count} {model._meta.verbose_name_plural} belong to chain {chain_id}, which was deleted."  # noqa: SLF001


def set_back() -> Iterator[tuple[str, str]]:
    """Chains that the others' checkpoints know further on than they are now: their id, and words."""
    rows = AuditCheckpoint.objects.filter(newest_marker=True).select_related("pkek__project", "pkek__mkek")
    statements = [statement for row in rows.order_by("chain") if (statement := opened(row))]
    here = dict(AuditCheckpoint.objects.filter(newest_marker=True).values_list("chain_id", "number"))
    told: set[str] = set()
    for statement in statements:
        for chain_id, number in statement.others.items():
            if here.get(chain_id, 0) < number and chain_id not in told:
                told.add(chain_id)
                yield chain_id, f"It was sealed up to segment {number}, as another chain's checkpoint says."


def _whole_since(check: Check, newest: AuditCheckpoint | None) -> datetime | None:
    chain = check.chain
    if newest is None:
        return None
    removed = check.removal.number if check.removal else 0
    last_bad = max((finding.number for finding in check.findings), default=removed)
    if last_bad == 0:
        return chain.began_at
    first_good = chain.segments.filter(number__gt=last_bad, number__lte=newest.number).order_by("number")
    since = first_good.values_list("collected_at", flat=True).first()
    return since.astimezone(UTC) if since else None


def _numbers(first: int, last: int) -> str:
    return f"Segment {first} is" if first == last else f"Segments {first} to {last} are"
