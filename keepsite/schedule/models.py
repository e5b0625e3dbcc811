from django.db import models

from keepsite.columns import ExactCharField


class ScheduledJob(models.Model):
    """When a job is due, and who is at it; all moments are by the database's clock."""

    name = ExactCharField(primary_key=True, max_length=64, editable=False)
    next_at = models.DateTimeField()
    handed_out_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    holder = ExactCharField(max_length=36, blank=True, default="")
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=255, blank=True, default="")
    runs = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.name)
