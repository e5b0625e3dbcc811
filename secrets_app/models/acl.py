from django.db import models
from django.utils import timezone
from django.utils.translation import gettext as _

from keepsite.columns import ExactCharField
from keepsite.ids import new_id
from secrets_app.models.container import Container
from secrets_app.models.secret import Secret


class ACL(models.Model):
    """Who may read one secret or one container, besides those whose roles allow it.

    ``project_access`` false makes it private: of its project only creator and admins
    keep access.  Without a row everybody's roles decide.
    """

    id = ExactCharField(primary_key=True, max_length=36, default=new_id, editable=False)
    secret = models.OneToOneField(Secret, on_delete=models.CASCADE, null=True, related_name="acl")
    container = models.OneToOneField(Container, on_delete=models.CASCADE, null=True, related_name="acl")
    project_access = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = "ACL"
        constraints = (
            models.CheckConstraint(
                condition=models.Q(secret=None) ^ models.Q(container=None), name="acl_of_one_object"
            ),
        )
        permissions = (("export_acl", "Can export ACLs"),)

    def __str__(self) -> str:
        return _("ACL of %(id)s") % {"id": self.secret_id or self.container_id}


class ACLUser(models.Model):
    """A user of the identity service, of any project, whom an ACL lets read."""

    acl = models.ForeignKey(ACL, on_delete=models.CASCADE, related_name="users")
    user_id = ExactCharField(max_length=255, db_index=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["acl", "user_id"], name="acl_user_once"),)

    def __str__(self) -> str:
        return str(self.user_id)
