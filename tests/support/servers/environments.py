"""Environments of programs whose dependencies are not Keepsite's."""

import fcntl
import hashlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.servers.server import ServerFailed

CHECKOUT = Path(__file__).resolve().parents[3]


class Environment:
    """A virtual environment of its own for one program, kept between runs in a folder that git ignores.

    ``tests/support/<name>-constraints.txt`` says what is in it; each download is checked by its hash.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.constraints = CHECKOUT / f"tests/support/{name}-constraints.txt"
        self.home = CHECKOUT / f".{name}"
        self.folder = self.home / "venv"

    def program(self, name: str) -> str:
        """The path of one of its programs, installed when the constraints are new."""
        self._install()
        return str(self.folder / "bin" / name)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Two test runs do not make the same thing at once."""
        self.home.mkdir(exist_ok=True)
        with (self.home / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def run(self, command: Sequence[str], *, typed: str | None = None, **environment: str) -> None:
        """Run a command that prepares something; ``typed`` is its standard input.

        Raises:
            ServerFailed: it ended with an error, which the message shows.
        """
        done = subprocess.run(
            command, cwd=self.home, env=environment or None, input=typed,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise ServerFailed(f"{command[0]} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")

    def _install(self) -> None:
        stamp = self.home / "constraints.sha256"
        wanted = hashlib.sha256(self.constraints.read_bytes() + sys.version.encode()).hexdigest()
        with self.alone():
            if stamp.exists() and stamp.read_text() == wanted:
                return
            sys.stderr.write(
                f"Installing {self.name.capitalize()} into .{self.name}; this takes a minute, once ...\n"
            )
            stamp.unlink(missing_ok=True)
            self.run([sys.executable, "-m", "venv", "--clear", str(self.folder)])
            build_tools = self.home / "build-tools.txt"
            text = self.constraints.read_text()
            build_tools.write_text(text[text.index("\nsetuptools==") :])  # it stands last
            pip = [str(self.folder / "bin/python"), "-m", "pip", "install", "--quiet", "--no-input"]
            pip += ["--disable-pip-version-check", "--require-hashes"]
            self.run([*pip, "-r", str(build_tools)])
            self.run([*pip, "--no-build-isolation", "-r", str(self.constraints)])
            stamp.write_text(wanted)
