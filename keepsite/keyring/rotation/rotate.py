from collections.abc import Iterator, Sequence
from typing import Any

from django.db.models import F, IntegerField, OuterRef, QuerySet, Subquery, Value
from django.db.models.aggregates import Count
from django.db.models.functions import Coalesce

from keepsite import audit
from keepsite.errors import InvalidInput, Unavailable
from keepsite.keyring.generations import next_generation
from keepsite.keyring.models import ProjectKEK
from keepsite.keyring.querysets import sealed_row_models, sealing_pkeks
from keepsite.keyring.rotation.scope import Scope
from keepsite.keyring.rotation.work import Outcome, Work, round_trip


class Rotate(Work):
    """Active pKEKs that are to be replaced: a new generation each, active at once.

    Those of retired projects too, for the data that a restore would bring back: their new one only opens.
    Six PKCS#11 calls and a transaction of its own each.
    """

    noun = "active pKEKs"

    def __init__(self, scope: Scope, *, actor: audit.Actor) -> None:
        """``scope.created_before`` is required.

        Raises:
            InvalidInput: it is missing, so the run would never end.
        """
        if scope.created_before is None:
            raise InvalidInput("A rotation needs a moment before which the keys were made.")
        self._scope = scope
        self._actor = actor

    def left(self) -> int:
        """How many are older than the scope says, or sealed more."""
        return self._rows().count()

    def pages(self, size: int) -> Iterator[list[ProjectKEK]]:
        """Those with their project."""
        return round_trip(self._rows().select_related("project"), size)

    def move(self, page: Sequence[ProjectKEK]) -> Outcome:
        """Replace a page, one by one."""
        outcome = Outcome()
        try:
            for pkek in page:
                with outcome.noting("projectkek", pkek.id):
                    new = next_generation(pkek)
                    if new is None:
                        outcome.lost += 1
                        continue
                    outcome.done += 1
                    change = audit.Change(before=_active(pkek), after=_active(new))
                    audit.record("pkek.rotated", actor=self._actor, subject=new, change=change)
        except Unavailable as error:
            outcome.unavailable = error
        return outcome

    def _rows(self) -> QuerySet[ProjectKEK]:
        narrowed: dict[str, Any] = {  # Any: values of look-ups
            "created_at__lt": self._scope.created_before,
            "project__external_id": self._scope.project,
            "mkek__label": self._scope.mkek,
        }
        rows = sealing_pkeks().filter(
            **{name: value for name, value in narrowed.items() if value is not None}
        )
        if self._scope.over_encryptions is None:
            return rows
        return with_encryptions(rows).filter(encryptions__gt=self._scope.over_encryptions)


def _active(pkek: ProjectKEK) -> dict[str, object]:
    """Which generation seals for its project."""
    return {"pkek": pkek.id, "generation": pkek.generation}


def with_encryptions(rows: QuerySet[ProjectKEK]) -> QuerySet[Any]:  # Any: ProjectKEK with ``encryptions``
    """Each pKEK with how many rows are sealed under it: deleted secrets count, purged ones no more."""
    total: Any = Value(0)  # Any: expressions add up
    for number, model in enumerate(sealed_row_models()):
        under = model._default_manager.filter(pkek=OuterRef("pk")).order_by().values("pkek")  # noqa: SLF001
        counted = Subquery(under.annotate(rows=Count("pk")).values("rows"), output_field=IntegerField())
        rows = rows.annotate(**{f"sealed_{number}": Coalesce(counted, 0)})
        total = total + F(f"sealed_{number}")
    return rows.annotate(encryptions=total)
