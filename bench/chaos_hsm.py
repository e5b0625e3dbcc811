"""``make chaos-hsm``: two HSM appliances under steady load are killed, hung and brought back.

Each appliance is a process of its own (tests/support/nethsm.c) before a token of its own; both
hold the same MKEK, as after cloning.  While one of them is up no request may fail.  The table
tells, per fault, what the callers saw.

A machine that is busy with other things makes everybody late.  How late is measured beside the load, by a
process that does nothing but sleep, and allowed for: what is left is Keepsite's own.
"""

import argparse
import contextlib
import json
import logging
import mmap
import random
import secrets
import struct
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from hsm.client import HSM
from hsm.config import load_config
from hsm.errors import AllMembersDown, HSMError, IntegrityFailed, MemberUnavailable
from tests.support.pkcs11_standins import NetworkHSM, Token, member

CLIENT_TIMEOUT_MS = 250  # the vendor client's receive timeout
THREADS, PROJECTS = 6, 50
SLACK_MS, REFUSAL_MS = 50, 100
AAD = b"whose it is"


@dataclass(frozen=True)
class Row:
    """What callers saw during one fault; ``refused`` ones were told at once that no member is up."""

    fault: str
    requests: int
    failed: int
    refused: int
    worst_ms: float
    worst_refusal_ms: float = 0.0
    recovered_s: float | None = None
    remark: str = ""
    late_ms: float = 0.0  # by how much the machine woke a sleeper too late, at worst
    most_waits: int = 0  # calls that hung, of the one request that met most of them


_SLEEPER = """
import mmap, struct, sys, time
with open(sys.argv[1], "r+b") as file:
    worst = mmap.mmap(file.fileno(), 8)
while True:
    began = time.monotonic()
    time.sleep(0.002)
    late = time.monotonic() - began - 0.002
    if late > struct.unpack("d", worst[:8])[0]:
        worst[:8] = struct.pack("d", late)
"""


class Lateness:
    """A process that only sleeps, and the worst lateness with which the machine woke it."""

    def __init__(self, folder):
        file = folder / "lateness"
        file.write_bytes(bytes(8))
        with file.open("r+b") as opened:
            self._worst = mmap.mmap(opened.fileno(), 8)
        self._process = subprocess.Popen([sys.executable, "-c", _SLEEPER, file])

    def take_ms(self):
        """The worst since the last time, in milliseconds."""
        (seconds,) = struct.unpack("d", self._worst[:8])
        self._worst[:8] = bytes(8)
        return seconds * 1000

    def close(self):
        self._process.kill()
        self._process.wait()


class Load:
    """Threads that encrypt and decrypt for many projects without a pause, and note each outcome."""

    def __init__(self, hsm, keys, *, timeout_ms, threads=THREADS):
        self.hsm, self.keys, self.timeout_ms = hsm, keys, timeout_ms
        self.sealed = [hsm.encrypt(key, self.plaintext(n), aad=AAD) for n, key in enumerate(keys)]
        self.failures = []
        self._outcomes = []  # (seconds, what, calls that hung)
        self._mine = threading.local()
        for one in hsm._group.members:
            one.calls.run = self._noting_hangs(one.calls.run)
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(n,), daemon=True) for n in range(threads)]

    @staticmethod
    def plaintext(number):
        return f"the secret of project {number}".encode()

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()

    def take(self):
        """Outcomes since the last time."""
        taken, self._outcomes = self._outcomes, []
        return taken

    @property
    def done(self):
        return len(self._outcomes)

    def _work(self, seed):
        dice = random.Random(seed)
        while not self._over.is_set():
            number = dice.randrange(len(self.keys))
            self._mine.hung = 0
            began = time.monotonic()
            what = self._one(number, reads=dice.random() < 0.8)
            self._outcomes.append((time.monotonic() - began, what, self._mine.hung))
            if what == "refused":
                self._over.wait(0.01)  # a client that was told to come back later does not hammer

    def _noting_hangs(self, run):
        """Count, per request, the calls that took as long as the client's time-out."""

        def noting(*call, **more):
            began = time.monotonic()
            try:
                return run(*call, **more)
            finally:
                if time.monotonic() - began > self.timeout_ms / 1000 * 0.9:
                    self._mine.hung = getattr(self._mine, "hung", 0) + 1

        return noting

    def _one(self, number, *, reads):
        try:
            if reads:
                opened = self.hsm.decrypt(self.keys[number], self.sealed[number], aad=AAD)
                return "served" if opened == self.plaintext(number) else "wrong"
            self.hsm.encrypt(self.keys[number], self.plaintext(number), aad=AAD)
        except AllMembersDown as error:
            return "refused" if error.retry_after_s >= 1 else "failed"
        except HSMError as error:
            self.failures.append(repr(error))
            return "failed"
        return "served"


class Campaign:
    """Two appliances, an HSM group before them, load on it, and faults one after the other.

    ``timeout_ms`` is the vendor client's, ``settings`` stand above the members.
    """

    def __init__(
        self,
        folder,
        *,
        phase_s=2.0,
        cache_max_keys=2000,
        timeout_ms=CLIENT_TIMEOUT_MS,
        settings="",
        say=str,
    ):
        self.folder, self.phase_s, self.say = Path(folder), phase_s, say
        self.timeout_ms = timeout_ms
        self.cache_max_keys = cache_max_keys
        self.folder.mkdir(parents=True, exist_ok=True)
        self.rows = []
        self.appliances = {name: self._appliance(name) for name in ("a", "b")}
        mkek_id, raw = secrets.token_bytes(16), secrets.token_hex(16).encode()
        for appliance in self.appliances.values():
            appliance.token.import_key(raw, label="mkek", key_id=mkek_id)
            appliance.start()
        file = self.folder / "hsm.toml"
        file.write_text(
            f'profile = "softhsm"\n{settings}\n'
            + "".join(member(name, one.module, one.token) for name, one in self.appliances.items())
        )
        self.hsm = HSM(load_config(file, pool_size=8, wait_s=2.0, cache_max_keys=cache_max_keys))
        self.hsm.start()
        self.keys = [
            self.hsm.create_key(
                mkek_id=mkek_id, key_id=f"project-{n}", canary_plaintext=b"canary", canary_aad=b"of a pKEK"
            )
            for n in range(PROJECTS)
        ]
        self.hsm.expect(self.keys[:1])
        self.load = Load(self.hsm, self.keys, timeout_ms=timeout_ms)
        self.lateness = Lateness(self.folder)

    def _appliance(self, name):
        token = Token(self.folder / f"token-{name}", label=name)
        appliance = NetworkHSM(self.folder / name, token, timeout_ms=self.timeout_ms, sticky=True)
        appliance.token = token
        return appliance

    def close(self):
        self.lateness.close()
        for appliance in self.appliances.values():
            appliance.go_on()
        with contextlib.suppress(MemberUnavailable):
            self.hsm.close()
        for appliance in self.appliances.values():
            appliance.kill()

    # Faults.

    def steady(self):
        self._phase("none")

    def kill(self, name):
        self._phase(f"kill -9 {name}", self.appliances[name].kill)

    def bring_back(self, name):
        self._phase(f"{name} is started again", self.appliances[name].start, until=lambda: self.is_up(name))

    def hang(self, name):
        self._phase(f"{name} hangs (SIGSTOP)", self.appliances[name].stop)

    def go_on(self, name):
        self._phase(f"{name} goes on (SIGCONT)", self.appliances[name].go_on, until=lambda: self.is_up(name))

    def kill_both(self):
        def kill():
            for appliance in self.appliances.values():
                appliance.kill()

        self._phase("kill -9 of both", kill)

    def bring_back_both(self):
        def start():
            for appliance in self.appliances.values():
                appliance.start()

        self._phase("both are started again", start, until=lambda: self.is_up("a") and self.is_up("b"))

    def tamper(self):
        """Read altered ciphertexts, wrapped keys and AADs beside the load: integrity faults, no more."""
        self._warm()
        trips, unwraps = self._tally("trips"), self._unwraps()
        refused, done, deadline = 0, 0, time.monotonic() + self.phase_s

        def go():
            nonlocal refused, done
            while time.monotonic() < deadline:
                for tampered in self._tampered(done):
                    try:
                        self.hsm.decrypt(*tampered[:2], aad=tampered[2])
                    except IntegrityFailed:
                        refused += 1
                    done += 1

        self._phase("tampered ciphertexts, wrapped keys, AADs", go, lasts_s=0)
        # A tampered wrapped key is unwrapped, in vain, and each tampering has a canary unwrapped.
        tripped, reloaded = self._tally("trips") - trips, self._unwraps() - unwraps - done // 3 - done
        remark = f"{refused} of {done} refused, {tripped} trips"
        if self.cache_max_keys >= PROJECTS:
            remark += f", {reloaded} keys unwrapped anew"
        harmless = refused == done and not tripped and (self.cache_max_keys < PROJECTS or not reloaded)
        self.rows[-1] = replace(self.rows[-1], remark=remark, failed=self.rows[-1].failed + (not harmless))

    def _warm(self):
        """Have every key cached on both members, so that each unwrap from now on is somebody's doing."""
        for one in self.hsm._group.members:  # callers cannot choose a member
            for key, sealed in zip(self.keys, self.load.sealed, strict=True):
                one.serve(lambda connection, key=key, sealed=sealed: connection.decrypt(key, sealed, aad=AAD))

    def _tampered(self, number):
        key, sealed = self.keys[number % PROJECTS], self.load.sealed[number % PROJECTS]
        flipped = bytes([sealed.ciphertext[0] ^ 1]) + sealed.ciphertext[1:]
        broken = replace(
            key, key_id=f"tampered-{number}", wrapped=bytes([key.wrapped[0] ^ 1]) + key.wrapped[1:]
        )
        return (
            (key, replace(sealed, ciphertext=flipped), AAD),
            (broken, sealed, AAD),
            (key, sealed, b"another's"),
        )

    # Measuring.

    def is_up(self, name):
        """Whether it serves: on a machine that stalls, time-outs of its own may have made it suspect."""
        return any(status.name == name and status.state.serves for status in self.hsm.status())

    def _unwraps(self):
        return sum(status.verbs["unwrap"].calls for status in self.hsm.status())

    def _tally(self, field):
        return sum(getattr(status.tally, field) for status in self.hsm.status())

    def _phase(self, fault, act=lambda: None, *, until=None, lasts_s=None):
        self.say(fault)
        self.load.take()
        self.lateness.take_ms()
        began = time.monotonic()
        act()
        recovered_s = None
        if until is not None:
            while not until():
                if time.monotonic() - began > 30:
                    raise TimeoutError(f"not recovered within 30 s: {fault}: {self.hsm.status()}")
                time.sleep(0.005)
            recovered_s = time.monotonic() - began
        time.sleep(self.phase_s if lasts_s is None else lasts_s)
        outcomes = self.load.take()
        what = [outcome for _, outcome, _ in outcomes]
        self.rows.append(
            Row(
                fault=fault,
                requests=len(outcomes),
                failed=sum(outcome in {"failed", "wrong"} for outcome in what),
                refused=what.count("refused"),
                worst_ms=max((seconds for seconds, _, _ in outcomes), default=0) * 1000,
                worst_refusal_ms=max(
                    (seconds for seconds, what, _ in outcomes if what == "refused"), default=0
                )
                * 1000,
                most_waits=max((hung for _, _, hung in outcomes), default=0),
                recovered_s=recovered_s,
                late_ms=self.lateness.take_ms(),
            )
        )

    def everything(self):
        """The whole campaign."""
        with self.load:
            self.steady()
            self.kill("a")
            self.bring_back("a")
            self.hang("b")
            self.go_on("b")
            self.kill_both()
            self.bring_back_both()
            self.tamper()


PHASES = 8


def run(folder, *, phase_s, say):
    """The campaign with room for every key, then the same with room for two."""
    rows = []
    for cache_max_keys in (2000, 2):
        campaign = Campaign(
            Path(folder) / f"cache-{cache_max_keys}", phase_s=phase_s, cache_max_keys=cache_max_keys, say=say
        )
        try:
            campaign.everything()
        finally:
            campaign.close()
        rows.append((cache_max_keys, campaign.rows, campaign.load.failures))
    return rows


def verdict(rows):
    """What was promised and did not hold, as sentences; empty if all of it did."""
    for cache_max_keys, campaign, _ in rows:
        for row in campaign:
            where = f"cache of {cache_max_keys}, {row.fault}"
            both_down = row.fault.startswith(("kill -9 of both", "both are"))
            if row.failed or (row.refused and not both_down):
                yield f"{where}: {row.failed} failed, {row.refused} refused"
            if row.worst_refusal_ms > REFUSAL_MS + row.late_ms:
                yield f"{where}: a 503 took {row.worst_refusal_ms:.0f} ms, above {REFUSAL_MS}"
            if row.most_waits > 1:
                yield f"{where}: one request met {row.most_waits} calls that hung"
            limit = CLIENT_TIMEOUT_MS + SLACK_MS
            if row.worst_ms > limit + row.late_ms:
                late = f" and the {row.late_ms:.0f} by which the machine was late"
                yield f"{where}: worst latency {row.worst_ms:.0f} ms, above {limit}{late}"


def shown(console, rows):
    for cache_max_keys, campaign, failures in rows:
        table = Table(title=f"{THREADS} threads, {PROJECTS} projects, room for {cache_max_keys} keys")
        table.add_column("fault")
        for heading in (
            "requests",
            "failed",
            "503",
            "worst ms",
            "worst 503 ms",
            "machine late ms",
            "hung calls of one",
            "recovered s",
        ):
            table.add_column(heading, justify="right")
        table.add_column("remark")
        for row in campaign:
            recovered = "" if row.recovered_s is None else f"{row.recovered_s:.2f}"
            table.add_row(
                row.fault, str(row.requests), str(row.failed), str(row.refused), f"{row.worst_ms:.0f}",
                f"{row.worst_refusal_ms:.0f}" if row.refused else "", f"{row.late_ms:.0f}",
                str(row.most_waits), recovered,
                row.remark,
            )  # fmt: skip
        console.print(table)
        for failure in failures[:5]:
            console.print(f"failed: {failure}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--phase-s", type=float, default=3.0, help="how long each fault lasts")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    logging.getLogger("hsm").setLevel(logging.CRITICAL + 1)
    console = Console(width=None if sys.stdout.isatty() else 160)
    with contextlib.ExitStack() as stack:
        if console.is_terminal and not options.json:
            columns = (TextColumn("{task.description:<42}"), BarColumn(), TimeElapsedColumn())
            progress = stack.enter_context(Progress(*columns, console=console, transient=True))
            task = progress.add_task("starting", total=2 * PHASES)

            def say(text):
                progress.update(task, description=text, advance=1)
        else:

            def say(text):
                print(text, file=sys.stderr)

        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="keepsite-chaos-"))
        rows = run(folder, phase_s=options.phase_s, say=say)
    broken = list(verdict(rows))
    if options.json:
        print(json.dumps({str(cache): [asdict(row) for row in campaign] for cache, campaign, _ in rows}))
    else:
        shown(console, rows)
    for sentence in broken:
        console.print(f"[bold red]not held:[/] {sentence}")
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
