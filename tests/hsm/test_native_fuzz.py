"""The short form of ``make fuzz-hsm``: the interpreter lives, calls end as they may, memory does not grow."""

import json
import os
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def fuzz(*options):
    done = subprocess.run(
        [sys.executable, "-m", "bench.fuzz_native", *options],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONFAULTHANDLER": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class TestFuzz:
    def test_random_arguments_codes_and_lengths_end_in_a_result_or_a_code(self):
        found = fuzz("--calls", "4000", "--ceremonies", "60", "--operations", "20000")

        assert found["calls"] >= 4060
        assert {"ok", "ambiguous", "odd length", "data", "handle"} <= {*found["outcomes"]}
        assert found["grown_bytes"] < 2_000_000
