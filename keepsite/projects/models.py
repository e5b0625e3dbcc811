from django.db import models
from django.utils import timezone

from keepsite.columns import ExactCharField
from keepsite.ids import new_id


class Project(models.Model):
    """A tenant, known by the id that the identity service gave it."""

    id = ExactCharField(primary_key=True, max_length=36, default=new_id, editable=False)
    external_id = ExactCharField(
        max_length=255,
        unique=True,
        help_text="The project's id in the identity service; it is bound into every ciphertext.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # counted up by every creation that a quota limits, so that two at once wait for each other or conflict,
    # on whatever database node they are
    quota_claims = models.PositiveBigIntegerField(default=0, editable=False)
    # counted up where an operator's command takes rows away or brings some back behind the API's back:
    # totals that processes remember are then counted anew
    recounts = models.PositiveBigIntegerField(default=0, db_default=0, editable=False)
    preferred_store = ExactCharField(max_length=36, blank=True, default="", editable=False)
    suspended_at = models.DateTimeField(null=True, editable=False, help_text="null: its callers are served")
    suspension_reason = models.CharField(
        max_length=255, blank=True, default="", db_default="", editable=False, help_text="for operators"
    )
    # the identity service deleted it: all it had is deleted since, and nothing new is taken
    retired_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        permissions = (
            ("suspend_project", "Can suspend and resume a project"),
            ("set_quota_of_project", "Can set the quota of a project"),
        )

    def __str__(self) -> str:
        return str(self.external_id)


class ProjectQuota(models.Model):
    """How much of each resource a project may have: negative is unlimited, null is the default."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, primary_key=True, related_name="quota")
    secrets = models.BigIntegerField(null=True)
    orders = models.BigIntegerField(null=True)
    containers = models.BigIntegerField(null=True)
    consumers = models.BigIntegerField(null=True)
    cas = models.BigIntegerField("CAs", null=True, help_text="kept for clients; nothing is limited by it")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return f"quota of {self.project}"
