from django.db import models
from django.utils import timezone
from django.utils.translation import gettext as _

from keepsite.columns import ExactCharField
from keepsite.ids import new_id
from keepsite.keyring.columns import SealedRow
from keepsite.keyring.sealed import SealContext
from keepsite.projects.models import Project
from orders_app.querysets import OrderQuerySet


class Order(models.Model):
    """A client's wish for a key, and the outbox that brings it to a worker.

    The row is the truth: the broker carries its id and may lose it.  ``handed_out_at``
    and ``lease_until`` say who is at it; both run out by themselves.
    """

    class Type(models.TextChoices):
        KEY = "key"
        ASYMMETRIC = "asymmetric"

    class Status(models.TextChoices):
        PENDING = "PENDING"
        ACTIVE = "ACTIVE"
        ERROR = "ERROR"

    id = ExactCharField(primary_key=True, max_length=36, default=new_id, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="orders")
    type = models.CharField(max_length=12, choices=Type.choices)
    meta = models.JSONField(help_text="what was asked for; never key material")
    creator_id = ExactCharField(max_length=255, null=True)  # the contract tells null from ""
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.PENDING)
    sub_status = models.CharField(max_length=36, blank=True, default="")
    sub_status_message = models.CharField(max_length=255, blank=True, default="")
    error_status_code = models.CharField(max_length=3, blank=True, default="")
    error_reason = models.CharField(max_length=255, blank=True, default="")
    # not a foreign key: the secret may be deleted and purged, the order keeps what it said
    secret_id = ExactCharField(max_length=36, null=True)
    container_id = ExactCharField(max_length=36, null=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    deleted_at = models.DateTimeField(null=True, editable=False)

    # the outbox
    not_before = models.DateTimeField(default=timezone.now, editable=False)
    handed_out_at = models.DateTimeField(null=True, editable=False)
    handed_out_by = ExactCharField(max_length=36, blank=True, default="", editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    retries = models.PositiveIntegerField(default=0, db_default=0, editable=False)  # given back after a fault
    last_fault = models.CharField(max_length=255, blank=True, default="", db_default="", editable=False)
    had_passphrase = models.BooleanField(null=True, editable=False)  # null: placed by an older release

    objects = OrderQuerySet.as_manager()

    class Meta:
        indexes = (
            models.Index(fields=["project", "deleted_at", "created_at", "id"], name="order_of_project"),
            models.Index(fields=["status", "not_before"], name="order_outbox"),
        )
        permissions = (
            ("retry_order", "Can have orders tried again"),
            ("cancel_order", "Can end waiting orders"),
            ("restore_order", "Can restore deleted orders"),
            ("purge_order", "Can purge deleted orders"),
            ("export_order", "Can export what is known about orders"),
        )

    def __str__(self) -> str:
        return _("%(type)s order %(id)s") % {"type": self.type, "id": self.id}


class OrderPassphrase(SealedRow):
    """The pass phrase of an ordered key pair, kept sealed until the pair is made."""

    order = models.OneToOneField(Order, on_delete=models.CASCADE, related_name="passphrase")

    context_rows = ("order__project",)

    def __str__(self) -> str:
        return f"pass phrase of {self.order_id}"

    @property
    def seal_context(self) -> SealContext:
        """The order's; a pass phrase is never changed, so it has one version."""
        return SealContext(
            project_id=self.order.project.external_id, secret_id=self.order_id, version=1, kind="order"
        )


class DeadLetter(models.Model):
    """A message that no worker could take, kept whole until an operator replays or discards it.

    The message itself is never shown: whoever may write to the broker chose its bytes.
    """

    class State(models.TextChoices):
        KEPT = "kept", "kept"
        REPLAY = "replay", "to be replayed"  # a relay will put it back into its queue
        REPLAYED = "replayed", "replayed"
        DISCARDED = "discarded", "discarded"

    id = ExactCharField(primary_key=True, max_length=36, editable=False)
    state = models.CharField(max_length=9, choices=State.choices, default=State.KEPT)
    queue = models.CharField(max_length=255, default="keepsite.orders")
    reason = models.CharField(max_length=255, help_text="why no worker took it")
    task = models.CharField(max_length=255, blank=True, default="")
    order_id = ExactCharField(max_length=36, blank=True, default="")
    headers = models.JSONField()
    content_type = models.CharField(max_length=255, blank=True, default="")
    content_encoding = models.CharField(max_length=255, blank=True, default="")
    body = models.BinaryField()
    size_bytes = models.PositiveIntegerField()
    arrived_at = models.DateTimeField(default=timezone.now, editable=False)
    settled_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        indexes = (models.Index(fields=["state", "arrived_at"], name="dead_letter_state"),)
        permissions = (
            ("replay_deadletter", "Can put dead letters back into their queue"),
            ("discard_deadletter", "Can note that nothing is to be done about dead letters"),
        )

    def __str__(self) -> str:
        return _("dead letter %(id)s") % {"id": self.id}

    @property
    def is_whole(self) -> bool:
        """Whether all of the message was kept, so that it can be replayed."""
        return len(self.body) == self.size_bytes


class RetirementAlarm(models.Model):
    """Keystone announced more deletions than is usual; nothing more is retired until it is cleared."""

    id = ExactCharField(primary_key=True, max_length=36, editable=False)
    detail = models.CharField(max_length=255)
    raised_at = models.DateTimeField(default=timezone.now, editable=False)
    cleared_at = models.DateTimeField(null=True, editable=False)

    def __str__(self) -> str:
        return str(self.detail)
