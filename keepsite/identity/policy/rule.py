from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from oslo_policy.policy import DocumentedRuleDefault

from keepsite.identity.policy.target import Kind

RoleSet: TypeAlias = Literal["secure", "legacy", "both"]
ROLE_SETS: tuple[RoleSet, ...] = get_args(RoleSet)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One guarded operation and its two default check strings."""

    name: str
    doing: str  # completes "... is not allowed"; also the description in sample policy files
    operations: tuple[str, ...]  # "GET /v1/secrets"
    about: frozenset[Kind] = frozenset()  # the kinds of target it needs; none: it asks for roles alone
    secure: str  # for reader, member and admin
    legacy: str  # for admin, creator, observer, audit and key-manager:service-admin

    def check_str(self, role_set: RoleSet) -> str:
        """Return the default check string; under ``both``, whoever passes either passes."""
        if role_set == "both":
            return f"({self.secure}) or ({self.legacy})"
        return self.secure if role_set == "secure" else self.legacy

    def documented(self, role_set: RoleSet) -> DocumentedRuleDefault:
        """Return the rule as oslo.policy and its tools know it."""
        methods_and_paths = (operation.split(" ", 1) for operation in self.operations)
        return DocumentedRuleDefault(
            self.name,
            self.check_str(role_set),
            f"{self.doing}.",
            [{"method": method, "path": path} for method, path in methods_and_paths],
            scope_types=["project"],
        )
