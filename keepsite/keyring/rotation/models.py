from django.db import models
from django.utils import timezone

from keepsite.columns import ExactCharField
from keepsite.ids import new_id


class KEKRun(models.Model):
    """One run of a rotation: what it is about, who wanted it, how far it is.

    Bookkeeping only: what is left to do is asked of the rows themselves, so a run may be
    killed, repeated or run twice at once.  ``runner`` holds it while ``heartbeat_at`` is
    fresh; every move between states is one conditional UPDATE.
    """

    class Kind(models.TextChoices):
        REWRAP = "mkek_rewrap", "rewrap pKEKs under the current MKEK"
        ROTATE = "pkek_rotate", "make new pKEK generations"
        REENCRYPT = "pkek_reencrypt", "seal payloads anew under the active pKEKs"

    class State(models.TextChoices):
        QUEUED = "queued", "queued: waits for a worker"
        RUNNING = "running", "running"
        PAUSED = "paused", "paused by an operator"
        DONE = "done", "done: nothing was left"
        FAILED = "failed", "failed: rows are left that could not be done"
        CANCELLED = "cancelled", "cancelled by an operator"

    id = ExactCharField(primary_key=True, max_length=36, default=new_id, editable=False)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    scope = models.JSONField(default=dict, help_text="which rows, as rotation.scope.Scope writes it")
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    started_by = ExactCharField(max_length=255)
    reason = models.CharField(max_length=255, blank=True, default="")
    by_workers = models.BooleanField(default=False, help_text="else by the command that made it")
    rate = models.FloatField(null=True, help_text="rows per second at most; null is as fast as it goes")
    batch_rows = models.PositiveIntegerField(default=100)
    rows_done = models.PositiveBigIntegerField(default=0)
    rows_failed = models.PositiveBigIntegerField(default=0)
    rows_left = models.PositiveBigIntegerField(default=0, help_text="when last counted")
    busy_s = models.FloatField(default=0, help_text="seconds of work so far, for the rate")
    last_error = models.CharField(max_length=64, blank=True, default="", help_text="an error's class")
    runner = ExactCharField(max_length=255, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    started_at = models.DateTimeField(null=True, editable=False)
    heartbeat_at = models.DateTimeField(null=True, editable=False)
    handed_out_at = models.DateTimeField(null=True, editable=False)
    ended_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name = "rotation run"
        verbose_name_plural = "rotation runs"
        indexes = (models.Index(fields=["state", "created_at"], name="kek_run_state"),)

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class KEKRunFailure(models.Model):
    """A row that a run could not do; gone once a retry begins."""

    id = ExactCharField(primary_key=True, max_length=36, default=new_id, editable=False)
    run = models.ForeignKey(KEKRun, on_delete=models.CASCADE, related_name="failures")
    row_kind = models.CharField(max_length=32)  # a model's name
    row_id = ExactCharField(max_length=36)
    error = models.CharField(max_length=64)  # its class; the log has the rest
    failed_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["run", "row_kind", "row_id"], name="kek_run_failure_once"),
        )

    def __str__(self) -> str:
        return f"{self.row_kind} {self.row_id}: {self.error}"
