"""What callers may do: ``require(rule, actor, target)`` stands first in every service."""

from keepsite.identity.policy.enforcement import RuleMisused, allows, check_policy_file, require, reset
from keepsite.identity.policy.policy_file import PolicyFileInvalid
from keepsite.identity.policy.target import Kind, Target

__all__ = [
    "Kind",
    "PolicyFileInvalid",
    "RuleMisused",
    "Target",
    "allows",
    "check_policy_file",
    "require",
    "reset",
]
