from django.db import models
from django.utils import timezone

from keepsite.columns import ExactCharField
from keepsite.ids import new_id
from keepsite.translation import gettext_lazy


class NodeReport(models.Model):
    """What one node's processes counted, added up; replaced every ten seconds.

    ``requests`` holds the minutes of the past hour, ``members`` what the node's processes see of each
    HSM member, ``queues`` the messages in each queue where a relay runs; ``reports`` has the layouts.
    ``began_at`` is since when the minutes are counted without a gap.
    """

    node = ExactCharField(primary_key=True, max_length=255, editable=False)
    told_at = models.DateTimeField()
    began_at = models.DateTimeField()
    requests = models.JSONField(default=list)
    members = models.JSONField(default=dict)
    queues = models.JSONField(default=dict)

    def __str__(self) -> str:
        return str(self.node)


class HSMMember(models.Model):
    """A member of the HSM, by the name that the configuration gives it, and what operators want of it.

    ``wanted_at`` is when an operator last asked every process that has it in quarantine to look at it
    again.  Where its PIN was refused, ``pin_corrected`` is the operator's word that it was corrected;
    then one process tries it, ``tried_by``, and the others follow once it was accepted.
    """

    class Outcome(models.TextChoices):
        NONE = "", gettext_lazy("not known yet")
        ACCEPTED = "accepted", gettext_lazy("accepted")
        REFUSED = "refused", gettext_lazy("refused again")

    name = ExactCharField(primary_key=True, max_length=255, editable=False)
    first_seen_at = models.DateTimeField(default=timezone.now, editable=False)
    wanted_at = models.DateTimeField(null=True, editable=False)
    wanted_by = models.CharField(max_length=255, blank=True, default="", editable=False)
    wanted_because = models.CharField(max_length=255, blank=True, default="", editable=False)
    pin_corrected = models.BooleanField(default=False, editable=False)
    tried_by = ExactCharField(max_length=255, blank=True, default="", editable=False)
    pin_outcome = models.CharField(
        max_length=8, choices=Outcome.choices, blank=True, default=Outcome.NONE, editable=False
    )

    class Meta:
        verbose_name = "HSM member"
        verbose_name_plural = "HSM members"
        permissions = (("release_hsmmember", "Can have an HSM member in quarantine looked at again"),)

    def __str__(self) -> str:
        return str(self.name)


class MemberChange(models.Model):
    """A process saw an HSM member enter a state; ``reason`` is a sentence for operators, or empty."""

    id = ExactCharField(primary_key=True, max_length=36, default=new_id, editable=False)
    member = ExactCharField(max_length=255)
    node = ExactCharField(max_length=255)
    process = models.PositiveIntegerField()
    state = models.CharField(max_length=16)
    reason = models.CharField(max_length=512, blank=True, default="")
    at = models.DateTimeField()

    class Meta:
        indexes = (
            models.Index(fields=["member", "at"], name="member_change_by_time"),
            models.Index(fields=["at"], name="member_change_age"),
        )

    def __str__(self) -> str:
        return f"{self.member} {self.state}"
