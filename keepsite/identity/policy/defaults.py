"""The rules as oslo.policy knows them, for the role set in use."""

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from oslo_policy.policy import RuleDefault

from keepsite.identity.policy.base_rules import BASE_RULES
from keepsite.identity.policy.rule import ROLE_SETS, RoleSet
from keepsite.identity.policy.rules import RULES


def defaults(role_set: RoleSet) -> list[RuleDefault]:
    """Return every rule's default under ``role_set``, the named conditions first."""
    return [*BASE_RULES, *(rule.documented(role_set) for rule in RULES.values())]


def role_set_in_use() -> RoleSet:
    """Return ``settings.ROLE_SET``.

    Raises:
        ImproperlyConfigured: it is none of ROLE_SETS; the message lists them.
    """
    for role_set in ROLE_SETS:
        if role_set == settings.ROLE_SET:
            return role_set
    raise ImproperlyConfigured(
        f"ROLE_SET is {settings.ROLE_SET!r}; it must be one of {', '.join(ROLE_SETS)}."
    )
