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

    def __str__(self) -> str:
        return str(self.external_id)
