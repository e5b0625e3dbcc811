"""What this node's processes have counted so far, read from the metrics they share."""

from collections import defaultdict
from collections.abc import Iterable

from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

from keepsite.fleet.histograms import Counts
from keepsite.fleet.readings import MemberReading, Reading
from keepsite.metrics import requests
from keepsite.metrics.bounds import CALL_BOUNDS_S, REQUEST_BOUNDS_S
from keepsite.metrics.registry import everybodys

PAYLOAD_VERBS = frozenset({"encrypt", "decrypt"})  # whose latency clients wait for

_NUMBERS = {  # sample to attribute
    "keepsite_hsm_cache_hits_total": "cache_hits",
    "keepsite_hsm_cache_misses_total": "cache_misses",
    "keepsite_hsm_in_flight": "in_flight",
    "keepsite_hsm_sessions_open": "sessions",
    "keepsite_hsm_cached_keys": "keys",
}


def read() -> Reading:
    """All of it, now.

    Raises:
        OSError: the folder of the metrics cannot be read.
    """
    metrics = {metric.name: metric for metric in everybodys().collect()}
    reading = Reading(queues=_by_label(metrics.get("keepsite_queue_messages"), "queue"))
    _read_requests(reading, metrics.get("keepsite_request_seconds"))
    for metric in metrics.values():
        if metric.name.startswith("keepsite_hsm_"):
            _read_member(reading, metric)
    _read_calls(reading, metrics.get("keepsite_hsm_call_seconds"))
    return reading


def _read_requests(reading: Reading, metric: Metric | None) -> None:
    samples = list(metric.samples) if metric else []
    reading.requests = _counts(samples, REQUEST_BOUNDS_S)
    for sample in samples:
        if sample.name.endswith("_count"):
            reading.refused += int(sample.value) * (sample.labels["outcome"] == requests.REFUSED)
            reading.failed += int(sample.value) * (sample.labels["outcome"] == requests.FAILED)


def _read_calls(reading: Reading, metric: Metric | None) -> None:
    of_member: dict[str, list[Sample]] = defaultdict(list)
    for sample in metric.samples if metric else ():
        if sample.name.endswith("_count"):
            _member(reading, sample).calls += int(sample.value)
        if sample.labels["verb"] in PAYLOAD_VERBS:
            of_member[sample.labels["member"]].append(sample)
    for name, samples in of_member.items():
        reading.members[name].payload_calls = _counts(samples, CALL_BOUNDS_S)


def _read_member(reading: Reading, metric: Metric) -> None:
    for sample in metric.samples:
        number = int(sample.value)
        if attribute := _NUMBERS.get(sample.name):
            setattr(_member(reading, sample), attribute, number)
        elif sample.name == "keepsite_hsm_member_processes" and number:
            _member(reading, sample).states[sample.labels["state"]] = number
        elif sample.name == "keepsite_hsm_call_errors_total":
            errors, kind = _member(reading, sample).errors, sample.labels["kind"]
            errors[kind] = errors.get(kind, 0) + number
        elif sample.name == "keepsite_hsm_last_canary_timestamp_seconds":
            _member(reading, sample).last_canary_at = sample.value


def _member(reading: Reading, sample: Sample) -> MemberReading:
    return reading.members.setdefault(sample.labels["member"], MemberReading())


def _by_label(metric: Metric | None, label: str) -> dict[str, int]:
    return {sample.labels[label]: int(sample.value) for sample in metric.samples} if metric else {}


def _counts(samples: Iterable[Sample], bounds_s: tuple[float, ...]) -> Counts:
    """How many fell into each bucket, over all labels; Prometheus's own counts are cumulative."""
    upto: dict[float, float] = defaultdict(float)
    for sample in samples:
        if sample.name.endswith("_bucket"):
            upto[float(sample.labels["le"])] += sample.value
    cumulative = [upto[bound] for bound in (*bounds_s, float("inf"))]
    return tuple(int(now - before) for now, before in zip(cumulative, [0.0, *cumulative], strict=False))
