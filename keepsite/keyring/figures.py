"""How far keys are replaced, as metrics: the same in every process, since the database tells."""

from django.db.models import Count
from prometheus_client import Gauge

from keepsite.keyring.models import KEKRun, ProjectKEK
from keepsite.keyring.querysets import needed_pkeks, rows_left
from keepsite.metrics.registry import REGISTRY

OPEN = (KEKRun.State.QUEUED, KEKRun.State.RUNNING, KEKRun.State.PAUSED)


def _gauge(name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
    return Gauge(f"keepsite_{name}", text, labels, registry=REGISTRY, multiprocess_mode="livemostrecent")


PKEKS_LEFT = _gauge("rotation_pkeks_left", "pKEKs that an MKEK other than the current one wraps.")
ROWS_LEFT = _gauge("rotation_rows_left", "Rows sealed under a former pKEK generation.", ("kind",))
PKEKS_DUE = _gauge("rotation_pkeks_due", "Active pKEKs that are due to be replaced.")
RUNS = _gauge("rotation_runs", "Rotation runs that have not ended.", ("state",))


def count() -> None:
    """Set every gauge: one statement each, and one for each kind of sealed row."""
    PKEKS_LEFT.set(needed_pkeks().exclude(mkek__current_marker=True).count())
    for model, rows in rows_left().items():
        ROWS_LEFT.labels(kind=str(model._meta.model_name)).set(rows.count())  # noqa: SLF001  # Django's API
    PKEKS_DUE.set(ProjectKEK.objects.exclude(due_at=None).count())
    by_state = dict(
        KEKRun.objects.filter(state__in=OPEN).order_by().values_list("state").annotate(runs=Count("id"))
    )
    for state in OPEN:
        RUNS.labels(state=state.value).set(by_state.get(state.value, 0))
