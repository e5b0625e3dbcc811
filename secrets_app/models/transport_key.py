from django.db import models
from django.utils import timezone

from keepsite.columns import ExactCharField
from keepsite.ids import new_id


class TransportKey(models.Model):
    """A public key that clients of some secret store wrap their payloads under.

    Our store has none: rows are what admins registered for clients to find.
    """

    id = ExactCharField(primary_key=True, max_length=36, default=new_id, editable=False)
    plugin_name = models.CharField(max_length=255)
    transport_key = models.TextField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    deleted_at = models.DateTimeField(null=True, editable=False)

    def __str__(self) -> str:
        return self.plugin_name
