"""What the policy is asked about secrets and containers: facts from their rows, ACL included."""

from django.core.exceptions import ObjectDoesNotExist

from keepsite.identity.policy import Target
from secrets_app.models import ACL, Container, Secret


def target_of(subject: Secret | Container) -> Target:
    """The facts of a row that was loaded by ``for_caller``."""
    acl = acl_of(subject)
    return Target(
        kind="secret" if isinstance(subject, Secret) else "container",
        project_id=subject.project.external_id,
        creator_id=subject.creator_id,
        project_access=acl is None or acl.project_access,
        is_acl_reader=subject.is_acl_reader,
    )


def acl_of(subject: Secret | Container) -> ACL | None:
    """The ACL of a secret or container, or None: then everybody's roles decide."""
    try:
        return subject.acl
    except ObjectDoesNotExist:
        return None


def kind_of(subject: Secret | Container) -> str:
    """The word for it in rule names: ``secret`` or ``container``."""
    return "secret" if isinstance(subject, Secret) else "container"
