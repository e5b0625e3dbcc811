from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext as _

from keepsite.columns import ExactCharField
from keepsite.ids import new_id

KEY_CHARS = 64  # a SHA-256 digest in hexadecimal


class Authenticator(models.Model):
    """An operator's second factor: an app that shows time-based codes."""

    id = ExactCharField(primary_key=True, max_length=36, default=new_id, editable=False)
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="authenticator"
    )
    sealed_secret = models.BinaryField()  # keepsite.operators.sealing
    last_step = models.BigIntegerField(default=0)  # of the newest code that was taken: RFC 6238's T
    enrolled_at = models.DateTimeField(default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        permissions = (("remove_authenticator", "Can remove the second factor of another operator"),)

    def __str__(self) -> str:
        return f"authenticator of {self.user}"


class RecoveryCode(models.Model):
    """A code that stands in for the authenticator, once; only its digest is kept."""

    authenticator = models.ForeignKey(Authenticator, on_delete=models.CASCADE, related_name="recovery_codes")
    digest = ExactCharField(max_length=KEY_CHARS)
    used_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = (
            models.UniqueConstraint(fields=("authenticator", "digest"), name="operators_recovery_code_once"),
        )

    def __str__(self) -> str:
        return f"recovery code of {self.authenticator}"


class Lockout(models.Model):
    """Wrong proofs that were given for an account, from an address, or in a known browser.

    ``failures`` are those since the last lock, ``locks`` how many locks there were.  The
    key is a digest, so that whatever was typed as a name is not kept.
    """

    class Kind(models.TextChoices):
        """Whose attempts are counted together."""

        ACCOUNT = "account"
        ADDRESS = "address"
        BROWSER = "browser"

    key = ExactCharField(primary_key=True, max_length=KEY_CHARS, editable=False)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    label = models.CharField(max_length=150, blank=True)  # the operator's name or the address; else nothing
    failures = models.PositiveIntegerField(default=0)
    locks = models.PositiveIntegerField(default=0)
    last_failed_at = models.DateTimeField(db_index=True)
    locked_until = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ("view",)
        permissions = (("release_lockout", "Can release lock-outs"),)

    def __str__(self) -> str:
        return self.label or _("a name that no operator has")
