from typing import Any, ClassVar, Self

from django.db import models
from django.utils import timezone

from keepsite.columns import ExactCharField
from keepsite.ids import new_id
from keepsite.keyring.models import ProjectKEK
from keepsite.keyring.sealed import SealContext, Sealed


class SealedRow(models.Model):
    """Columns of a row that keeps something sealed; layout in ``keepsite.keyring.sealed``."""

    id = ExactCharField(primary_key=True, max_length=36, default=new_id, editable=False)
    pkek = models.ForeignKey(ProjectKEK, on_delete=models.PROTECT, related_name="+", verbose_name="pKEK")
    format = models.PositiveSmallIntegerField()
    iv = models.BinaryField(max_length=16, editable=False)
    ciphertext = models.BinaryField(editable=False)
    size_bytes = models.PositiveIntegerField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    context_rows: ClassVar[tuple[str, ...]] = ()  # related rows that ``seal_context`` reads

    class Meta:
        abstract = True

    @classmethod
    def holding(cls, sealed: Sealed, **columns: Any) -> Self:  # Any: each column's own type
        """A new row, not saved yet, for what ``keyring.seal`` returned."""
        return cls(
            pkek_id=sealed.pkek_id,
            format=sealed.format,
            iv=sealed.iv,
            ciphertext=sealed.ciphertext,
            size_bytes=sealed.size_bytes,
            **columns,
        )

    @property
    def seal_context(self) -> SealContext:
        """Where the row belongs; needs what ``context_rows`` names."""
        raise NotImplementedError  # not abstract: Django's metaclass leaves no room for ABC

    @property
    def sealed(self) -> Sealed:
        """What ``keyring.open_sealed`` takes."""
        return Sealed(
            format=self.format,
            pkek_id=self.pkek_id,
            iv=bytes(self.iv),
            ciphertext=bytes(self.ciphertext),
            size_bytes=self.size_bytes,
        )
