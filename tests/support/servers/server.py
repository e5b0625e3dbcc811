"""What the test servers share: a private folder, processes we know by id, a wait, and an end."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

LOG_TAIL_LINES = 30


class ServerFailed(RuntimeError):
    """A test server did not start or died; the message ends with the tail of its log."""


class Server(ABC):
    """A real server in a folder of its own, on ports of its own, for the length of a test run.

    Nothing outside the folder is read or written, and only processes started here are ended, so a
    server the machine already runs never notices.  The folder goes with the server, unless it failed:
    then it stays, and its path is printed.
    """

    name: str
    start_timeout_s = 60.0
    stop_timeout_s = 30.0

    def __init__(self) -> None:
        self.folder = Path()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._has_failed = False

    @property
    @abstractmethod
    def url(self) -> str:
        """The address with user and password, as the product's environment wants it."""

    @abstractmethod
    def _launch(self) -> None:
        """Prepare the folder and start the processes."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether a client can log in now."""

    def start(self) -> Self:
        """Start and return once a client can log in.

        Raises:
            ServerFailed: it died or stayed silent; everything started is gone, the folder is kept.
        """
        self.folder = Path(tempfile.mkdtemp(prefix=f"keepsite-{self.name}-"))
        try:
            self._launch()
            self._wait_until_it_answers()
        except BaseException:
            self._has_failed = True
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End every process started here, the last one first; safe to call twice."""
        for process in reversed(self._processes):
            self._end(process)
        self._processes.clear()
        if self._has_failed:
            sys.stderr.write(f"{self.name} failed; its files stay in {self.folder}\n")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _spawn(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        """Start ``command`` in a session of its own: a Ctrl-C at the terminal does not reach it."""
        with self.log_file.open("ab") as log:
            self._processes.append(
                subprocess.Popen(
                    ["setpriv", "--pdeathsig", "TERM", *command],  # a killed test run leaves no server behind
                    cwd=self.folder,
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )

    @property
    def log_file(self) -> Path:
        """Where the server writes what it has to say."""
        return self.folder / f"{self.name}.log"

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + self.start_timeout_s
        while not self._answers():
            if any(process.poll() is not None for process in self._processes):
                raise ServerFailed(f"{self.name} ended while starting:\n{self._log_tail()}")
            if time.monotonic() > deadline:
                raise ServerFailed(
                    f"{self.name} is silent after {self.start_timeout_s:.0f} s:\n{self._log_tail()}"
                )
            time.sleep(0.1)

    def _log_tail(self) -> str:
        if not self.log_file.exists():
            return "(no log)"
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        family = _family(process.pid)
        process.terminate()
        try:
            process.wait(self.stop_timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for relative in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                relative.kill()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _family(pid: int) -> list[psutil.Process]:
    """The descendants alive now; each remembers its start time, so a reused id is never hit."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
