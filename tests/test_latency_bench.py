"""What `make bench ONLY=hsm` says of its rows, and what keeps processors awake meanwhile."""

import os
from pathlib import Path

from bench.awake import kept_awake
from bench.hsm_latency import verdict


def row(threads, of_ideal, as_injected, *, latency_ms=1):
    return {
        "latency_ms": latency_ms,
        "threads": threads,
        "of_ideal": of_ideal,
        "of_ideal_as_injected": as_injected,
    }


def test_the_verdict_is_about_one_and_eight_threads_at_a_millisecond():
    rows = [
        row(1, 0.874, 0.981), row(8, 0.9, 0.95), row(32, 0.1, 0.1), row(1, 0.2, 0.2, latency_ms=5),
    ]  # fmt: skip

    assert verdict(rows) == (
        "At 1 ms a call: 1 thread does 87.4% of 1/(2 x 1 ms), 98.1% by the delay really injected; "
        "8 threads do 90.0% of 8/(2 x 1 ms), 95.0% by the delay really injected."
    )


def test_every_processor_is_kept_awake_by_whoever_gives_way_to_all_until_the_end():
    with kept_awake() as spinners:
        assert len(spinners) == len(os.sched_getaffinity(0))
        assert {os.sched_getscheduler(pid) for pid in spinners} == {os.SCHED_IDLE}
        assert set().union(*map(os.sched_getaffinity, spinners)) == os.sched_getaffinity(0)

    assert not any(Path(f"/proc/{pid}").exists() for pid in spinners)
