from django.db import models
from django.utils import timezone

from keepsite.columns import ExactCharField, FoldedCharField
from keepsite.ids import new_id
from keepsite.projects.models import Project
from secrets_app.choices import ContainerType
from secrets_app.models.secret import Secret
from secrets_app.querysets import ContainerQuerySet


class Container(models.Model):
    """Secrets that belong together, each under a name: a certificate and its key, for one."""

    id = ExactCharField(primary_key=True, max_length=36, default=new_id, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="containers")
    name = FoldedCharField(max_length=255, null=True)  # the contract tells null from ""
    type = models.CharField(max_length=16, choices=ContainerType.choices)
    creator_id = ExactCharField(max_length=255, null=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    deleted_at = models.DateTimeField(null=True, editable=False)
    # spares most reads a look into the consumers' table; once true it stays true
    had_consumers = models.BooleanField(default=False, editable=False)

    objects = ContainerQuerySet.as_manager()
    is_acl_reader = False  # whether the caller is named by its ACL: set by ``for_caller()``

    class Meta:
        indexes = (
            models.Index(fields=["project", "deleted_at", "created_at", "id"], name="container_of_project"),
            models.Index(
                fields=["project", "deleted_at", "name", "created_at", "id"], name="container_by_name"
            ),
        )
        permissions = (
            ("restore_container", "Can restore deleted containers"),
            ("purge_container", "Can purge deleted containers"),
            ("export_container", "Can export what is known about containers"),
        )

    def __str__(self) -> str:
        return str(self.name or self.id)

    @property
    def status(self) -> str:
        """Always ACTIVE: the contract knows no other."""
        return "ACTIVE"


class ContainerSecret(models.Model):
    """A secret's place in a container; the same secret may have several, under different names."""

    id = ExactCharField(primary_key=True, max_length=36, default=new_id, editable=False)
    container = models.ForeignKey(Container, on_delete=models.CASCADE, related_name="places")
    secret = models.ForeignKey(Secret, on_delete=models.CASCADE, related_name="places")
    name = ExactCharField(max_length=255, blank=True, default="", help_text="empty: it has none")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["container", "secret", "name"], name="place_once"),)

    def __str__(self) -> str:
        return str(self.name or self.id)
