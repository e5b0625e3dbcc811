from datetime import datetime

from django.db import models
from django.utils import timezone

from keepsite.columns import ExactCharField, FoldedCharField
from keepsite.ids import new_id
from keepsite.keyring.columns import SealedRow
from keepsite.keyring.sealed import SealContext
from keepsite.projects.models import Project
from secrets_app.choices import ContentType, SecretType
from secrets_app.querysets import SecretQuerySet


class Secret(models.Model):
    """A secret: what is known about it.  The payload, sealed, is a row of its own."""

    id = ExactCharField(primary_key=True, max_length=36, default=new_id, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="secrets")
    name = FoldedCharField(max_length=255, null=True)  # the contract tells null from ""
    secret_type = models.CharField(max_length=16, choices=SecretType.choices, default=SecretType.OPAQUE)
    algorithm = models.CharField(max_length=255, null=True)  # noqa: DJ001
    mode = models.CharField(max_length=255, null=True)  # noqa: DJ001
    bit_length = models.PositiveSmallIntegerField(null=True)
    creator_id = ExactCharField(max_length=255, null=True)
    # null until there is a payload: one conditional UPDATE of it decides who stores the payload
    content_type = models.CharField(max_length=32, choices=ContentType.choices, null=True)  # noqa: DJ001
    expires_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    deleted_at = models.DateTimeField(null=True, editable=False)
    # spares most reads a look into the consumers' table; once true it stays true
    had_consumers = models.BooleanField(default=False, editable=False)

    objects = SecretQuerySet.as_manager()
    is_acl_reader = False  # whether the caller is named by its ACL: set by ``for_caller()``

    class Meta:
        # each holds all that counting and skipping rows needs: docs/operators/database.md
        indexes = (
            models.Index(
                fields=["project", "deleted_at", "created_at", "id", "expires_at"], name="secret_list"
            ),
            models.Index(
                fields=["project", "deleted_at", "name", "created_at", "id", "expires_at"],
                name="secret_by_name",
            ),
            models.Index(
                fields=["project", "deleted_at", "expires_at", "created_at", "id"], name="secret_by_expiry"
            ),
        )
        permissions = (
            ("restore_secret", "Can restore deleted secrets"),
            ("purge_secret", "Can purge deleted secrets"),
            ("export_secret", "Can export what is known about secrets"),
        )

    def __str__(self) -> str:
        return str(self.name or self.id)

    @property
    def status(self) -> str:
        """Always ACTIVE, also before there is a payload: the contract knows no other."""
        return "ACTIVE"

    def is_live(self, now: datetime) -> bool:
        """Whether anybody can still see it: neither deleted nor expired."""
        return self.deleted_at is None and (self.expires_at is None or now < self.expires_at)

    def seal_context(self, version: int = 1) -> SealContext:
        """What this secret's payload is bound to."""
        return SealContext(project_id=self.project.external_id, secret_id=self.id, version=version)


class Payload(SealedRow):
    """A secret's payload, sealed by its project's pKEK."""

    secret = models.OneToOneField(Secret, on_delete=models.CASCADE, related_name="payload")
    version = models.PositiveIntegerField(default=1)

    context_rows = ("secret__project",)

    def __str__(self) -> str:
        return f"payload of {self.secret_id}"

    @property
    def seal_context(self) -> SealContext:
        """The secret's, at this row's version."""
        return self.secret.seal_context(self.version)
