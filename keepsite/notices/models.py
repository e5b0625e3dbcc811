from typing import Any

from django.db import models
from django.db.models import Q
from django.utils import timezone

from keepsite.columns import ExactCharField
from keepsite.ids import new_id

KEY_CHARS = 128
TEXT_CHARS = 255


class Urgency(models.IntegerChoices):
    """How soon somebody should look; the most urgent is the lowest, so that lists sort by it."""

    NOW = 1, "now"
    SOON = 2, "soon"


class Notice(models.Model):
    """One cause for an operator to act, from when it was noticed until it was gone.

    ``key`` names the cause, the same as long as it lasts: "node-lost:api3".  ``text`` is a sentence
    without secret material, and ``path`` where the console shows what it is about.
    """

    id = ExactCharField(primary_key=True, max_length=36, default=new_id, editable=False)
    key = ExactCharField(max_length=KEY_CHARS, editable=False)
    # True while it is open and NULL after: at most one of a key is open, on every engine
    open_marker = models.BooleanField(null=True, default=True, editable=False)
    kind = ExactCharField(max_length=40, editable=False)
    urgency = models.PositiveSmallIntegerField(choices=Urgency.choices, default=Urgency.SOON)
    text = models.CharField(max_length=TEXT_CHARS)
    path = models.CharField(max_length=TEXT_CHARS, blank=True, default="")
    raised_at = models.DateTimeField(default=timezone.now, editable=False)
    told_at = models.DateTimeField(default=timezone.now, editable=False)
    told_count = models.PositiveIntegerField(default=1, editable=False)
    resolved_at = models.DateTimeField(null=True, editable=False)
    acknowledged_by = ExactCharField(max_length=150, blank=True, default="")
    acknowledged_at = models.DateTimeField(null=True)
    acknowledgement_reason = models.CharField(max_length=255, blank=True, default="")

    class Meta:
        ordering = ("-raised_at", "id")
        default_permissions = ("view",)
        permissions = (("acknowledge_notice", "Can acknowledge notices"),)
        constraints = (models.UniqueConstraint(fields=("key", "open_marker"), name="notices_open_key"),)
        indexes = (models.Index(fields=("open_marker", "urgency", "raised_at"), name="notices_open"),)

    def __str__(self) -> str:
        return str(self.text)


class Message(models.Model):
    """Events about notices on their way through one channel; tried again until it arrives, or given up."""

    class Channel(models.TextChoices):
        EMAIL = "email", "e-mail"
        WEBHOOK = "webhook", "webhook"

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        SENT = "sent", "sent"
        GIVEN_UP = "given_up", "given up"

    id = ExactCharField(primary_key=True, max_length=36, default=new_id, editable=False)
    channel = models.CharField(max_length=8, choices=Channel.choices)
    events: Any = models.JSONField(default=list)  # Any: what is sent, see messages.py
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.CharField(max_length=TEXT_CHARS, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    next_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ("created_at", "id")
        default_permissions = ("view",)
        indexes = (models.Index(fields=("state", "next_at"), name="notices_message_due"),)

    def __str__(self) -> str:
        return f"{self.get_channel_display()} {self.id}"


OPEN = Q(open_marker=True)
