from django.db import models

from keepsite.columns import ExactCharField


class AcceptedRequest(models.Model):
    """A request that was accepted under a client's key, and what it made.

    It holds digests and the id, nothing that a client sent; ``digests`` says what they cover.  That
    the first of them is the primary key is what makes one object of many requests.
    """

    key_digest = ExactCharField(primary_key=True, max_length=64, editable=False)
    request_digest = ExactCharField(max_length=64, editable=False)
    object_id = ExactCharField(max_length=36, editable=False)
    accepted_at = models.DateTimeField(editable=False)

    class Meta:
        default_permissions = ()
        indexes = (models.Index(fields=["accepted_at"], name="accepted_request_age"),)

    def __str__(self) -> str:
        return str(self.object_id)
