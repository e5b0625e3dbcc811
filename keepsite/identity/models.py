from datetime import datetime

from django.db import models
from django.utils import timezone

from keepsite.columns import ExactCharField
from keepsite.identity.principal import Principal
from keepsite.ids import new_id
from keepsite.projects.models import Project


class APIKey(models.Model):
    """A credential of ``local`` mode: a user of one project with fixed roles.

    The key itself is shown once, when it is made; the row keeps its SHA-256, which is
    enough because the key holds 256 random bits.
    """

    id = ExactCharField(primary_key=True, max_length=36, default=new_id, editable=False)
    name = models.CharField(max_length=255, help_text="what it is for, in the operator's words")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="api_keys")
    user_id = ExactCharField(max_length=255, help_text="appears as creator_id of what this key makes")
    roles = models.JSONField(default=list)
    sha256 = ExactCharField(max_length=64, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, editable=False)
    last_used_at = models.DateTimeField(null=True, editable=False, help_text="within a minute")

    class Meta:
        verbose_name = "API key"
        verbose_name_plural = "API keys"
        permissions = (
            ("revoke_apikey", "Can revoke API keys"),
            ("export_apikey", "Can export the list of API keys"),
        )

    def __str__(self) -> str:
        return self.name

    def is_valid(self, now: datetime) -> bool:
        """Whether it opens anything at ``now``: neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    @property
    def principal(self) -> Principal:
        """Who calls when this key is shown."""
        return Principal(
            project_id=self.project.external_id,
            user_id=self.user_id,
            roles=frozenset(self.roles),
            method="local",
            credential_id=self.id,
            is_suspended=self.project.suspended_at is not None,
        ).with_implied_roles()
