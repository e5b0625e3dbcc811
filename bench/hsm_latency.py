"""How close requests come to what the HSM's latency allows: the second table of ``make bench``.

A shim before SoftHSM makes each PKCS#11 call take as long as over a network.  A warm decrypt
is two calls, so a thread can do at best 1 / (2 x latency) of them a second, and as many
threads as there are sessions so many times that.  Timers wake late, on virtual machines by
some 0.1 ms: so the shim also adds up what its calls really took, and the last column counts by that.
"""

import argparse
import json
import secrets
import tempfile
import threading
import time
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.awake import kept_awake
from hsm.client import HSM
from hsm.config import load_config
from tests.support.pkcs11_standins import Shim, Token

LATENCIES_MS = (0, 0.2, 1, 5)
THREADS = (1, 8, 32)
JUDGED_MS, JUDGED_THREADS = 1, (1, 8)
CALLS = 2
AAD = b"whose it is"


def measure(hsm, key, shim, threads, seconds):
    """Decrypts per second, the processor time of one in microseconds, the seconds that a call took."""
    sealed = hsm.encrypt(key, bytes(32), aad=AAD)
    counts = [0] * threads
    ready, over = threading.Barrier(threads + 1), threading.Event()

    def work(number):
        for _ in range(3):
            hsm.decrypt(key, sealed, aad=AAD)
        ready.wait()
        done = 0
        while not over.is_set():
            hsm.decrypt(key, sealed, aad=AAD)
            done += 1
        counts[number] = done

    running = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    ready.wait()
    began, worked = time.perf_counter(), time.process_time()
    spent_s, calls = shim.spent_s, sum(shim.calls().values())
    over.wait(seconds)
    over.set()
    for thread in running:
        thread.join()
    took, worked = time.perf_counter() - began, time.process_time() - worked
    call_s = (shim.spent_s - spent_s) / max(sum(shim.calls().values()) - calls, 1)
    return sum(counts) / took, worked / max(sum(counts), 1) * 1e6, call_s


def table(seconds):
    """One row per latency and number of threads."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="keepsite-latency-") as name:
        folder = Path(name)
        token = Token(folder / "token")
        shim = Shim(folder, token.module, conf=token.conf)
        mkek_id = secrets.token_bytes(16)
        token.import_key(secrets.token_hex(16).encode(), label="mkek", key_id=mkek_id)
        hsm = HSM(
            load_config(token.config_file(shim.module), pool_size=max(THREADS), wait_s=30, cache_max_keys=10)
        )
        hsm.start()
        key = hsm.create_key(mkek_id=mkek_id, key_id="k", canary_plaintext=b"c", canary_aad=b"a")
        for latency_ms in LATENCIES_MS:
            shim.delay(round(latency_ms * 1000))
            for threads in THREADS:
                per_second, cpu_us, call_s = measure(hsm, key, shim, threads, seconds)
                ideal = threads / (CALLS * latency_ms / 1000) if latency_ms else None
                rows.append(
                    {
                        "latency_ms": latency_ms,
                        "threads": threads,
                        "per_second": round(per_second),
                        "cpu_us": round(cpu_us),
                        "of_ideal": round(per_second / ideal, 3) if ideal else None,
                        "call_ms": round(call_s * 1000, 3) if ideal else None,
                        "of_ideal_as_injected": round(per_second * CALLS * call_s / threads, 3)
                        if ideal
                        else None,
                    }
                )
        shim.clear()
        hsm.close()
    return rows


def verdict(rows):
    """What the table comes to, in a sentence: one thread and eight, at one millisecond a call."""
    said = []
    for threads in JUDGED_THREADS:
        row = next(one for one in rows if (one["latency_ms"], one["threads"]) == (JUDGED_MS, threads))
        who = "1 thread does" if threads == 1 else f"{threads} threads do"
        said.append(
            f"{who} {row['of_ideal']:.1%} of {threads}/({CALLS} x {JUDGED_MS} ms), "
            f"{row['of_ideal_as_injected']:.1%} by the delay really injected"
        )
    return f"At {JUDGED_MS} ms a call: {'; '.join(said)}."


def show(rows):
    shown = Table(title="warm decrypts, 2 PKCS#11 calls each, sessions for every thread")
    for heading in (
        *("ms per call", "threads", "per second", "CPU us each", "of the ideal"),
        *("really ms per call", "of the ideal by that"),
    ):
        shown.add_column(heading, justify="right")
    for row in rows:
        ratios = ("", "", "")
        if row["of_ideal"] is not None:
            ratios = (f"{row['of_ideal']:.1%}", f"{row['call_ms']:.2f}", f"{row['of_ideal_as_injected']:.1%}")
        shown.add_row(
            *(str(row[name]) for name in ("latency_ms", "threads", "per_second", "cpu_us")), *ratios
        )
    console = Console()
    console.print(shown)
    console.print(verdict(rows), soft_wrap=True, highlight=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3, help="of each measurement")
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--keep-awake",
        action="store_true",
        help="spin on every processor at SCHED_IDLE, so that none has to wake from a deep sleep",
    )
    options = parser.parse_args()
    with kept_awake() if options.keep_awake else nullcontext():
        rows = table(options.seconds)
    if options.json:
        print(json.dumps(rows))
    else:
        show(rows)


if __name__ == "__main__":
    main()
