"""What the policy is asked about secrets and containers: facts from their rows, ACL included."""

from itertools import product

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Exists, OuterRef, Q

from keepsite.identity import policy
from keepsite.identity.policy import Target
from keepsite.identity.principal import Principal
from secrets_app.models import ACL, ACLUser, Container, Secret


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


def shown_in_lists(actor: Principal) -> Q | None:
    """Which secrets of the caller's project its list shows the caller; None: all of them, as in Barbican.

    With KEEPSITE_HIDE_PRIVATE_SECRETS those that are not private, and of the private ones those that
    the policy lets the caller read.  To it they are of four kinds: the caller's own or not, with an
    ACL that names the caller or not; so it is asked four times and not for each row.
    """
    if not settings.HIDE_PRIVATE_SECRETS:
        return None
    own = Q(creator_id=actor.user_id) if actor.user_id is not None else Q(pk__in=[])
    named = Q(Exists(ACLUser.objects.filter(acl__secret=OuterRef("pk"), user_id=actor.user_id or "")))
    shown = ~Q(Exists(ACL.objects.filter(secret=OuterRef("pk"), project_access=False)))
    hides = False
    for is_own, is_named in product((True, False), repeat=2):
        kind = Target(
            kind="secret",
            project_id=actor.project_id,
            creator_id=actor.user_id if is_own else None,
            project_access=False,
            is_acl_reader=is_named,
        )
        if policy.allows("secret:get", actor, kind):
            shown |= (own if is_own else ~own) & (named if is_named else ~named)
        else:
            hides = True
    return shown if hides else None


def acl_of(subject: Secret | Container) -> ACL | None:
    """The ACL of a secret or container, or None: then everybody's roles decide."""
    try:
        return subject.acl
    except ObjectDoesNotExist:
        return None


def kind_of(subject: Secret | Container) -> str:
    """The word for it in rule names: ``secret`` or ``container``."""
    return "secret" if isinstance(subject, Secret) else "container"
