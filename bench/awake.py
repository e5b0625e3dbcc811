"""Keeps processors from sleeping, so that what a benchmark measures is no wake-up from a deep idle state."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

# Runs only where nobody else wants to, and ends with whoever started it.
_SPIN = """
import os, sys
parent, processor = int(sys.argv[1]), int(sys.argv[2])
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
os.sched_setaffinity(0, {processor})
print("spinning", flush=True)
while os.getppid() == parent:
    for _ in range(1_000_000):
        pass
"""


@contextlib.contextmanager
def kept_awake() -> Iterator[list[int]]:
    """Spin on every processor that this process may use until the block ends; gives the spinners' pids.

    At SCHED_IDLE a spinner gives way to everybody else at once.  Source: sched(7).
    """
    spinners = [
        subprocess.Popen(
            [sys.executable, "-S", "-c", _SPIN, str(os.getpid()), str(processor)], stdout=subprocess.PIPE
        )
        for processor in sorted(os.sched_getaffinity(0))
    ]
    try:
        for spinner in spinners:
            assert spinner.stdout is not None
            spinner.stdout.readline()
        yield [spinner.pid for spinner in spinners]
    finally:
        for spinner in spinners:
            spinner.kill()
            with spinner:
                spinner.wait()
