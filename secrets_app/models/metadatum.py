from django.db import models
from django.utils import timezone

from keepsite.columns import ExactCharField
from secrets_app.models.secret import Secret


class SecretMetadatum(models.Model):
    """One of a client's own notes on a secret: a name in lower case and a text."""

    secret = models.ForeignKey(Secret, on_delete=models.CASCADE, related_name="metadata")
    name = ExactCharField(max_length=255)
    value = models.CharField(max_length=255)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name_plural = "secret metadata"
        constraints = (models.UniqueConstraint(fields=["secret", "name"], name="metadatum_once"),)

    def __str__(self) -> str:
        return str(self.name)
