"""Waiting for what another thread or process does."""

import time


def wait_until(condition, timeout_s=30):
    """Return the first true answer of ``condition``; fail after ``timeout_s``."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"still not so after {timeout_s} s: {condition}"
        time.sleep(0.02)
