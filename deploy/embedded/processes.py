"""Processes we started: their logs, whether they live, and their end."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LOG_TAIL_LINES = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One process to run: what it is called, how it is started, how long it may take to end."""

    name: str
    command: Sequence[str]
    stop_timeout_s: float


class Process:
    """A running process and everything it forked: one session, ended as a whole.

    In a session of its own a Ctrl-C at the terminal does not reach it, so the order
    of the end is ours; and if we are killed, the kernel tells it to end.
    """

    def __init__(self, plan: Plan, *, log: Path, env: Mapping[str, str], folder: Path) -> None:
        self.plan = plan
        self.log = log
        self._log_start = log.stat().st_size if log.exists() else 0
        with log.open("ab") as file:
            self._popen = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *plan.command],
                cwd=folder,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its id, which is also that of its session."""
        return self._popen.pid

    @property
    def has_ended(self) -> bool:
        """Whether it is gone, for whatever reason."""
        return self._popen.poll() is not None

    def describe_end(self) -> str:
        """How it ended and the last lines it logged, for the person at the terminal."""
        code = self._popen.returncode
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return f"The {self.plan.name} {how}. The end of {self.log}:\n{self.log_tail()}"

    def log_tail(self) -> str:
        """The last lines of this run, indented."""
        with self.log.open("rb") as file:
            file.seek(self._log_start)
            lines = file.read().decode(errors="replace").splitlines()
        return "\n".join(f"  | {line}" for line in lines[-LOG_TAIL_LINES:]) or "  | (nothing)"

    def stop(self) -> None:
        """Ask it to end, wait, then end by force whatever is left of its session."""
        self._popen.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(self.plan.stop_timeout_s)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()


def stop_all(processes: Sequence[Process]) -> None:
    """Stop in the given order, and finish even if asked to hurry: each has its time limit."""
    for process in processes:
        process.stop()
