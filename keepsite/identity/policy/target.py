"""What a rule is asked about: facts from the database, in the words policy files use."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal["secret", "container", "order", "project", "secret_store", "transport_key"]
# What oslo.policy calls a target: strings and booleans by dotted name.
Facts: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One stored object, as its database row describes it.

    Built from the row, never from anything the client sent: a query string that
    reached Barbican's target let callers pass as owners (CVE-2022-3100).
    """

    kind: Kind
    project_id: str  # the external id of the owning project
    creator_id: str | None  # None where no user is known; then nobody is the creator
    project_access: bool = True  # False: private, the ACL shuts out the owning project's other members
    is_acl_reader: bool = False  # the caller is among the users of the ACL's read entry

    def facts(self) -> Facts:
        """Return the attributes that check strings name, such as ``target.secret.project_id``.

        What is unknown is left out, so a check that asks for it fails.
        """
        prefix = f"target.{self.kind}"
        facts: Facts = {
            "target.kind": self.kind,
            f"{prefix}.project_id": self.project_id,
            f"{prefix}.read_project_access": self.project_access,
        }
        if self.creator_id is not None:
            facts[f"{prefix}.creator_id"] = self.creator_id
        if self.is_acl_reader:
            facts[f"{prefix}.read"] = "read"
        return facts
