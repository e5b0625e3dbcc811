import hashlib

from django.db import models
from django.utils import timezone

from keepsite.columns import ExactCharField
from keepsite.ids import new_id
from keepsite.projects.models import Project
from secrets_app.models.secret import Secret


class SecretConsumer(models.Model):
    """A service's note that it uses a secret: from microversion 1.2 on it stands in the way of deletion.

    Registering the same triple again changes nothing, and a removed one is revived.
    """

    id = ExactCharField(primary_key=True, max_length=36, default=new_id, editable=False)
    secret = models.ForeignKey(Secret, on_delete=models.CASCADE, related_name="consumers")
    project = models.ForeignKey(
        Project, on_delete=models.PROTECT, related_name="+", help_text="who registered it"
    )
    service = ExactCharField(max_length=255)
    resource_type = ExactCharField(max_length=255)
    resource_id = ExactCharField(max_length=255)
    # the three texts are too long for one index of InnoDB, their digest is not
    triple_sha256 = ExactCharField(max_length=64, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    deleted_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["secret", "triple_sha256"], name="consumer_once_per_secret"),
        )

    def __str__(self) -> str:
        return f"{self.service} {self.resource_type} {self.resource_id}"


def triple_sha256(service: str, resource_type: str, resource_id: str) -> str:
    """What tells one consumer of a secret from another; lengths keep the parts apart."""
    parts = (f"{len(part)}:{part}" for part in (service, resource_type, resource_id))
    return hashlib.sha256("".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
