from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min

from keepsite.keyring.models import MKEK, KEKRun, ProjectKEK
from keepsite.keyring.querysets import needed_pkeks, rows_left
from keepsite.keyring.rotation.runs import ENDED


@dataclass(frozen=True, slots=True, kw_only=True)
class MKEKStatus:
    """One MKEK; ``needed`` pKEKs under it keep it in service."""

    label: str
    state: str
    kcv: str
    template: str
    created_at: datetime
    needed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KEKStatus:
    """Where the keys stand; ``pkeks_left`` and ``rows_left`` are what rotations have still to do."""

    mkeks: tuple[MKEKStatus, ...]
    pkeks: dict[str, int]  # by state
    oldest_active_at: datetime | None
    pkeks_left: int  # needed, and not under the current MKEK
    rows_left: dict[str, int]  # sealed under a former generation, by kind of row
    open_runs: int

    @property
    def left(self) -> int:
        """Everything that is left to do."""
        return self.pkeks_left + sum(self.rows_left.values())


def kek_status() -> KEKStatus:
    """Ask the database alone; no token is touched."""
    needed = dict(needed_pkeks().order_by().values_list("mkek").annotate(rows=Count("id")))
    by_state = dict(ProjectKEK.objects.order_by().values_list("state").annotate(rows=Count("id")))
    return KEKStatus(
        mkeks=tuple(
            MKEKStatus(
                label=mkek.label,
                state=mkek.state,
                kcv=mkek.kcv,
                template=mkek.unwrap_template,
                created_at=mkek.created_at,
                needed=needed.get(mkek.id, 0),
            )
            for mkek in MKEK.objects.order_by("created_at")
        ),
        pkeks={state: by_state.get(state, 0) for state in ProjectKEK.State.values},
        oldest_active_at=ProjectKEK.objects.filter(active_marker=True).aggregate(at=Min("created_at"))["at"],
        pkeks_left=needed_pkeks().exclude(mkek__current_marker=True).count(),
        rows_left={
            str(model._meta.verbose_name): rows.count()  # noqa: SLF001  # Django's API
            for model, rows in rows_left().items()
        },
        open_runs=KEKRun.objects.exclude(state__in=ENDED).count(),
    )
