from django.db import models
from django.utils import timezone
from django.utils.translation import gettext as _

from hsm.keys import Canary, UnwrapTemplate, WrappedKey
from keepsite.columns import ExactCharField
from keepsite.ids import new_id
from keepsite.keyring import canaries
from keepsite.keyring.rotation.models import KEKRun, KEKRunFailure
from keepsite.projects.models import Project


class MKEK(models.Model):
    """A master key-encryption key: AES-256, born in the HSM, never outside it.

    The row knows it by CKA_ID and carries a canary, a throw-away key wrapped under
    it with a known text under that key: a token that opens the canary holds this
    very MKEK.
    """

    class State(models.TextChoices):
        PENDING = "pending", "pending: on the token, wraps nothing yet"
        CURRENT = "current", "current: wraps new pKEKs"
        PREVIOUS = "previous", "previous: unwraps only, until its last pKEK is rewrapped"
        RETIRED = "retired", "retired: unwraps nothing any more"

    id = ExactCharField(primary_key=True, max_length=36, default=new_id, editable=False)
    label = ExactCharField(max_length=64, unique=True, help_text="CKA_LABEL on the token")
    cka_id = ExactCharField("CKA_ID", max_length=32, unique=True, help_text="16 bytes as hex digits")
    kcv = models.CharField("key check value", max_length=6, help_text="a label for people, never proof")
    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING)
    # True on the current row and NULL on all others: a unique index that every engine understands
    current_marker = models.BooleanField(null=True, unique=True, editable=False)
    canary_wrapped = models.BinaryField(max_length=64, editable=False)
    canary_iv = models.BinaryField(max_length=16, editable=False)
    canary_ciphertext = models.BinaryField(max_length=128, editable=False)
    unwrap_template = models.CharField(
        max_length=10,
        choices=[(template.value, template.value) for template in UnwrapTemplate],
        default=UnwrapTemplate.NONE.value,
        db_default=UnwrapTemplate.NONE.value,
        help_text="what the token demands of the pKEKs it unwraps",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    superseded_at = models.DateTimeField(null=True, editable=False)  # when another became current

    class Meta:
        verbose_name = "MKEK"
        verbose_name_plural = "MKEKs"
        permissions = (
            ("generate_mkek", "Can generate MKEKs"),
            ("activate_mkek", "Can make an MKEK current"),
            ("retire_mkek", "Can retire MKEKs"),
            ("rewrap_mkek", "Can start and steer runs that bring pKEKs under the current MKEK"),
        )

    def __str__(self) -> str:
        return str(self.label)

    @property
    def canary(self) -> WrappedKey:
        """The throw-away key that only a token with this MKEK can open."""
        return WrappedKey(
            key_id=f"mkek-canary:{self.id}",
            mkek_id=bytes.fromhex(self.cka_id),
            wrapped=bytes(self.canary_wrapped),
            canary=Canary(
                iv=bytes(self.canary_iv),
                ciphertext=bytes(self.canary_ciphertext),
                aad=canaries.mkek_aad(self.id),
                plaintext=canaries.text(self.id),
            ),
        )


class ProjectKEK(models.Model):
    """One generation of a project's key-encryption key (pKEK), as stored: wrapped.

    ``format`` 1: ``wrapped_pkek`` is a 32-byte AES key under AES key wrap, 40 bytes
    (RFC 3394).  A format is never reinterpreted, and an unknown one is refused.
    """

    class State(models.TextChoices):
        ACTIVE = "active", "active: seals and opens"
        DECRYPT_ONLY = "decrypt_only", "decrypt only, until its last payload has moved"
        RETIRED = "retired", "retired: opens nothing any more"

    FORMAT = 1

    id = ExactCharField(primary_key=True, max_length=36, default=new_id, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="pkeks")
    generation = models.PositiveIntegerField(default=1)
    state = models.CharField(max_length=12, choices=State.choices, default=State.ACTIVE)
    # True on the active row and NULL on all others: at most one active generation per project
    active_marker = models.BooleanField(null=True, default=True, editable=False)
    format = models.PositiveSmallIntegerField(default=FORMAT)
    wrap_algorithm = models.CharField(max_length=16, default="kw")
    mkek = models.ForeignKey(MKEK, on_delete=models.PROTECT, related_name="pkeks", verbose_name="MKEK")
    wrapped_pkek = models.BinaryField(max_length=64, editable=False)
    canary_iv = models.BinaryField(max_length=16, editable=False)
    canary_ciphertext = models.BinaryField(max_length=128, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    superseded_at = models.DateTimeField(null=True, editable=False)  # when a newer generation became active
    retired_at = models.DateTimeField(null=True, editable=False)
    # since when it is older, or has sealed more, than the settings allow; rotation.due keeps it
    due_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name = "pKEK"
        verbose_name_plural = "pKEKs"
        permissions = (("rotate_projectkek", "Can start and steer runs that replace pKEKs or seal anew"),)
        constraints = (
            models.UniqueConstraint(fields=["project", "active_marker"], name="pkek_one_active_per_project"),
            models.UniqueConstraint(fields=["project", "generation"], name="pkek_generation"),
        )

    def __str__(self) -> str:
        return _("%(project)s generation %(generation)s") % {
            "project": self.project,
            "generation": self.generation,
        }

    @property
    def wrapped_key(self) -> WrappedKey:
        """The pKEK as the HSM takes it, with the canary that proves it."""
        return WrappedKey(
            key_id=self.id,
            mkek_id=bytes.fromhex(self.mkek.cka_id),
            wrapped=bytes(self.wrapped_pkek),
            canary=Canary(
                iv=bytes(self.canary_iv),
                ciphertext=bytes(self.canary_ciphertext),
                aad=canaries.pkek_aad(self.project.external_id, self.id),
                plaintext=canaries.text(self.id),
            ),
        )


__all__ = ["MKEK", "KEKRun", "KEKRunFailure", "ProjectKEK"]
