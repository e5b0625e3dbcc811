import hashlib

from django.db import models
from django.utils import timezone

from keepsite.columns import ExactCharField
from keepsite.ids import new_id
from keepsite.projects.models import Project
from secrets_app.models.container import Container
from secrets_app.models.secret import Secret


class Consumer(models.Model):
    """A service's note that it uses something of ours.

    Registering the same again changes nothing, and a removed one is revived.
    """

    id = ExactCharField(primary_key=True, max_length=36, default=new_id, editable=False)
    project = models.ForeignKey(
        Project, on_delete=models.PROTECT, related_name="+", help_text="who registered it"
    )
    # the texts that tell consumers apart are too long for one index of InnoDB, their digest is not
    sha256 = ExactCharField(max_length=64, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    deleted_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        abstract = True


class SecretConsumer(Consumer):
    """Who uses a secret: from microversion 1.2 on it stands in the way of deletion."""

    secret = models.ForeignKey(Secret, on_delete=models.CASCADE, related_name="consumers")
    service = models.CharField(max_length=255)
    resource_type = models.CharField(max_length=255)
    resource_id = models.CharField(max_length=255)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["secret", "sha256"], name="consumer_once_per_secret"),)
        permissions = (("export_secretconsumer", "Can export what is known about consumers of secrets"),)

    def __str__(self) -> str:
        return f"{self.service} {self.resource_type} {self.resource_id}"


class ContainerConsumer(Consumer):
    """Who uses a container, such as a load balancer; never in the way of deletion."""

    container = models.ForeignKey(Container, on_delete=models.CASCADE, related_name="consumers")
    name = models.CharField(max_length=255)
    url = models.CharField(max_length=255)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["container", "sha256"], name="consumer_once_per_container"),
        )
        permissions = (
            ("export_containerconsumer", "Can export what is known about consumers of containers"),
        )

    def __str__(self) -> str:
        return f"{self.name} {self.url}"


def digest(*parts: str) -> str:
    """What tells one consumer from another; lengths keep the parts apart."""
    joined = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()
