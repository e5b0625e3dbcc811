from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from keepsite.errors import InvalidInput
from keepsite.keyring.models import MKEK
from keepsite.projects.models import Project

MAX_DAYS = 36_500


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which keys a run is about; every field narrows it, none means all.

    ``created_before`` bounds a rotation, so that it ends: generations that it makes
    itself are younger.
    """

    project: str | None = None  # external id
    mkek: str | None = None  # label: only what this MKEK wraps
    created_before: datetime | None = None  # pKEK generations
    over_encryptions: int | None = None  # pKEKs that sealed more than this many rows

    def written(self) -> dict[str, Any]:  # Any: JSON values
        """As JSON; fields are only ever added."""
        told = {
            "project": self.project,
            "mkek": self.mkek,
            "created_before": self.created_before.isoformat() if self.created_before else None,
            "over_encryptions": self.over_encryptions,
        }
        return {name: value for name, value in told.items() if value is not None}

    @classmethod
    def read(cls, told: dict[str, Any]) -> Self:  # Any: JSON values
        """From what ``written`` wrote."""
        moment = told.get("created_before")
        return cls(
            project=told.get("project"),
            mkek=told.get("mkek"),
            created_before=datetime.fromisoformat(moment) if moment else None,
            over_encryptions=told.get("over_encryptions"),
        )

    def check(self) -> None:
        """Refuse names that nothing has.

        Raises:
            InvalidInput: no such project or MKEK, or a number below zero.
        """
        if self.project is not None and not Project.objects.filter(external_id=self.project).exists():
            raise InvalidInput(f"There is no project {self.project!r}.")
        if self.mkek is not None and not MKEK.objects.filter(label=self.mkek).exists():
            known = ", ".join(MKEK.objects.order_by("created_at").values_list("label", flat=True)) or "none"
            raise InvalidInput(f"There is no MKEK labelled {self.mkek!r}. Known: {known}.")
        if self.over_encryptions is not None and self.over_encryptions < 0:
            raise InvalidInput("A number of encryptions is 0 or more.")


def days_before(now: datetime, days: float) -> datetime:
    """The moment so many days ago.

    Raises:
        InvalidInput: a number of days that is none.
    """
    if not 0 <= days <= MAX_DAYS:
        raise InvalidInput(f"A number of days must be from 0 to {MAX_DAYS}.")
    return now - timedelta(days=days)
