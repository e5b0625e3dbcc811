from typing import Any

from django.db import models
from django.utils import timezone

from keepsite.columns import ExactCharField
from keepsite.ids import new_id
from keepsite.keyring.columns import SealedRow
from keepsite.keyring.sealed import SealContext

AUDIT_PROJECT = "keepsite-audit"  # whose pKEK seals the checkpoints
HASH_BYTES = 32  # SHA-256
HEX_CHARS = 2 * HASH_BYTES


class AuditChain(models.Model):
    """The audit trail of one node's audit folder: segments that follow one another.

    What the last verification found stands here for the console; the proof is a
    verification of one's own.  ``pass_*`` tell how far one under way has come.
    """

    id = ExactCharField(primary_key=True, max_length=36, default=new_id, editable=False)
    node = ExactCharField(max_length=255)
    began_at = models.DateTimeField(default=timezone.now, editable=False)
    verified_at = models.DateTimeField(null=True, editable=False)
    verified_by = models.CharField(max_length=255, blank=True, default="", editable=False)
    whole_since = models.DateTimeField(null=True, editable=False)
    segments_verified = models.PositiveBigIntegerField(default=0, editable=False)
    records_verified = models.PositiveBigIntegerField(default=0, editable=False)
    findings = models.JSONField(default=list, editable=False)
    pass_wanted_by = models.CharField(max_length=255, blank=True, default="", editable=False)
    pass_number = models.PositiveBigIntegerField(default=0, editable=False)
    pass_records = models.PositiveBigIntegerField(default=0, editable=False)
    pass_findings = models.JSONField(default=list, editable=False)

    class Meta:
        permissions = (("verify_auditchain", "Can have the audit trail verified"),)

    def __str__(self) -> str:
        return str(self.node)


class AuditSegment(models.Model):
    """Consecutive bytes of one audit file, whole lines, and the copies made of them.

    ``bytes_digest`` is that of the file's bytes from ``start`` up to ``end``;
    ``row_hashes`` holds 32 bytes for each copied line, its SHA-256, in their order.
    ``digest`` covers both and the digest of the segment before; ``digests`` has the layout.
    Rows are only ever inserted.
    """

    id = ExactCharField(primary_key=True, max_length=36, default=new_id, editable=False)
    chain = models.ForeignKey(AuditChain, on_delete=models.PROTECT, related_name="segments")
    number = models.PositiveBigIntegerField()  # from 1, without gaps
    file = ExactCharField(max_length=64)
    start = models.PositiveBigIntegerField()  # bytes
    end = models.PositiveBigIntegerField()  # bytes
    lines = models.PositiveIntegerField()
    bytes_digest = models.CharField(max_length=HEX_CHARS)
    row_hashes = models.BinaryField(editable=False)
    previous_digest = models.CharField(max_length=HEX_CHARS)
    digest = models.CharField(max_length=HEX_CHARS)
    collected_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["chain", "number"], name="audit_segment_number"),)

    def __str__(self) -> str:
        return f"segment {self.number} of {self.chain}"

    @property
    def hashes(self) -> list[bytes]:
        """The SHA-256 of each copied line."""
        joined = bytes(self.row_hashes)
        return [joined[at : at + HASH_BYTES] for at in range(0, len(joined), HASH_BYTES)]


class AuditRecord(models.Model):
    """A copy of one audit record; ``line`` is what counts, the other columns say the same to be searched.

    Rows are only ever inserted; ``position`` counts from 0 within the segment.
    """

    id = ExactCharField(primary_key=True, max_length=36, default=new_id, editable=False)
    segment = models.ForeignKey(AuditSegment, on_delete=models.PROTECT, related_name="records")
    position = models.PositiveIntegerField()
    at = models.DateTimeField()
    node = ExactCharField(max_length=255)
    kind = models.CharField(max_length=16)
    action = models.CharField(max_length=255)
    subject = ExactCharField(max_length=255)
    outcome = models.CharField(max_length=32)
    project = ExactCharField(max_length=255)
    user = ExactCharField(max_length=255)
    method = models.CharField(max_length=32)
    request_id = ExactCharField(max_length=64)
    client = models.CharField(max_length=64)
    line = models.TextField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["segment", "position"], name="audit_record_position"),)
        indexes = (
            models.Index(fields=["at"], name="audit_by_time"),
            models.Index(fields=["project", "at"], name="audit_by_project"),
            models.Index(fields=["user", "at"], name="audit_by_user"),
            models.Index(fields=["subject", "at"], name="audit_by_subject"),
            models.Index(fields=["action", "at"], name="audit_by_action"),
            models.Index(fields=["method", "at"], name="audit_by_method"),
            models.Index(fields=["request_id"], name="audit_by_request"),
        )
        permissions = (("export_auditrecord", "Can export audit records"),)

    def __str__(self) -> str:
        return f"{self.action} by {self.user or 'nobody known'}"


class AuditCheckpoint(SealedRow):
    """How far a chain goes and with which digest, sealed by the HSM; ``sealing`` has its content.

    The newest of a chain is sealed as the newest, so that one put in its place, or
    left over when later ones were deleted, shows.
    """

    chain = models.ForeignKey(AuditChain, on_delete=models.PROTECT, related_name="checkpoints")
    number = models.PositiveBigIntegerField()  # of the last segment it covers
    # True on the newest of its chain and NULL on all others
    newest_marker = models.BooleanField(null=True, default=True, editable=False)
    sealed_at = models.DateTimeField(default=timezone.now)

    context_rows = ("chain",)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["chain", "newest_marker"], name="audit_checkpoint_newest"),
            models.UniqueConstraint(fields=["chain", "number"], name="audit_checkpoint_number"),
        )

    def __str__(self) -> str:
        return f"checkpoint {self.number} of {self.chain_id}"

    @property
    def seal_context(self) -> SealContext:
        """The chain and the segment: it opens nowhere else."""
        return context_of(self.chain_id, self.number)


class AuditRemoval(SealedRow):
    """Up to which segment the retention has removed a chain, sealed by the HSM; ``removals`` has its content.

    One per chain: each removal goes further than the one before and takes its place.  The
    columns beside the seal say the same as it, to be shown.
    """

    chain = models.OneToOneField(AuditChain, on_delete=models.PROTECT, related_name="removal")
    number = models.PositiveBigIntegerField()  # of the last segment that went; a checkpoint's, which stays
    removed_at = models.DateTimeField()
    days = models.PositiveIntegerField()  # the retention by which it went
    # up to which segment a removal had come to its end; less than ``number`` while one is under way
    gone_until = models.PositiveBigIntegerField(null=True)

    context_rows = ("chain",)

    def __str__(self) -> str:
        return f"removal up to segment {self.number} of {self.chain_id}"

    @property
    def seal_context(self) -> SealContext:
        """The chain and the segment, as something else than a checkpoint: it opens nowhere else."""
        return removal_context_of(self.chain_id, self.number)


def removal_context_of(chain_id: str, number: int) -> SealContext:
    """What the seal of a removal is bound to."""
    return SealContext(project_id=AUDIT_PROJECT, secret_id=chain_id, version=number, kind="audit-removal")


def context_of(chain_id: str, number: int) -> SealContext:
    """What a checkpoint is bound to."""
    return SealContext(project_id=AUDIT_PROJECT, secret_id=chain_id, version=number, kind="audit")


Json = dict[str, Any]  # Any: JSON values
