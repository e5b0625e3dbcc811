from django.db import models
from django.utils import timezone

from keepsite.columns import ExactCharField
from keepsite.ids import new_id


class ActRequest(models.Model):
    """An act that one operator wants done and another must approve.

    ``form`` is what the act's own form was sent, field by field, and is checked anew when
    the act is carried out; it holds no password and no code.
    """

    class State(models.TextChoices):
        """Each leads on from WAITING alone, by a conditional update."""

        WAITING = "waiting"
        APPROVED = "approved"  # being carried out; if it stays so, its process died on the way
        DONE = "done"
        FAILED = "failed"
        REFUSED = "refused"

    id = ExactCharField(primary_key=True, max_length=36, default=new_id, editable=False)
    noun = models.CharField(max_length=100)  # the model it is about: "secrets_app.secret"
    act = models.CharField(max_length=50)  # its name in the console: "purge"
    title = models.CharField(max_length=255)
    row_ids = models.JSONField(default=list)
    form = models.JSONField(default=dict)
    reason = models.CharField(max_length=255)
    requested_by = ExactCharField(max_length=150)
    requested_at = models.DateTimeField(default=timezone.now, db_index=True)
    expires_at = models.DateTimeField()
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    decided_by = ExactCharField(max_length=150, blank=True)
    decided_at = models.DateTimeField(null=True)
    decision_reason = models.CharField(max_length=255, blank=True)
    outcome = models.TextField(blank=True)

    class Meta:
        default_permissions = ("view",)
        indexes = (models.Index(fields=("state", "expires_at"), name="approvals_waiting"),)

    def __str__(self) -> str:
        return self.title
