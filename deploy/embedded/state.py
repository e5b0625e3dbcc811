"""The state folder of ``make run``: where it is, what is in it, and who may look."""

import fcntl
import os
import secrets
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

CHECKOUT = Path(__file__).resolve().parents[2]
SECRET_KEY_BYTES = 48
FOLDER_MODE = 0o700
FILE_MODE = 0o600


class StateRefused(Exception):
    """The folder cannot be used; the message is a sentence for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class StateFolder:
    """Paths of everything ``make run`` keeps.  Nothing in it is readable by another user."""

    path: Path

    @property
    def lock(self) -> Path:
        """Held while Keepsite runs; its presence also marks the folder as ours."""
        return self.path / "keepsite.lock"

    @property
    def environment(self) -> Path:
        """The variables the processes get, for a shell that wants the same."""
        return self.path / "keepsite.env"

    @property
    def secret_key(self) -> Path:
        """Django's key: it signs the operators' sessions."""
        return self.path / "secret-key"

    @property
    def api_key(self) -> Path:
        """The first user's API key, for the examples that ``make run`` prints."""
        return self.path / "api-key"

    @property
    def database(self) -> Path:
        """SQLite."""
        return self.path / "db.sqlite3"

    @property
    def broker(self) -> Path:
        """Messages to the worker, as files."""
        return self.path / "broker"

    @property
    def logs(self) -> Path:
        """One file per process."""
        return self.path / "logs"

    @property
    def tokens(self) -> Path:
        """SoftHSM's token; absent until it is complete."""
        return self.path / "tokens"

    @property
    def pin(self) -> Path:
        """The PIN that opens the token."""
        return self.path / "pin"

    @property
    def so_pin(self) -> Path:
        """The security officer's PIN: nothing uses it, but only it can replace a locked PIN."""
        return self.path / "so-pin"

    @property
    def softhsm_config(self) -> Path:
        """Where SoftHSM reads the place of the token."""
        return self.path / "softhsm2.conf"

    @property
    def hsm_config(self) -> Path:
        """Where Keepsite reads which token to use."""
        return self.path / "hsm.toml"


def chosen_folder() -> StateFolder:
    """The folder that ``KEEPSITE_STATE_DIR`` names, else ``.state`` in the checkout."""
    named = os.environ.get("KEEPSITE_STATE_DIR")
    return StateFolder(Path(named).expanduser().absolute() if named else CHECKOUT / ".state")


def prepare_folder(state: StateFolder) -> bool:
    """Create the folder, private to this user; whether it is new.

    Raises:
        StateRefused: there is a folder with other things in it, or someone else's.
    """
    is_new = not state.path.exists() or not any(state.path.iterdir())
    if not is_new:
        check_is_ours(state)
    state.path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    if state.path.stat().st_uid != os.getuid():
        raise StateRefused(f"{state.path} belongs to another user. Choose another KEEPSITE_STATE_DIR.")
    state.path.chmod(FOLDER_MODE)
    return is_new


def make_subfolders(state: StateFolder) -> None:
    """Create the folders that the processes expect."""
    for folder in (state.broker, state.logs):
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)


def check_is_ours(state: StateFolder) -> None:
    """Return if the folder was made by ``make run``.

    Raises:
        StateRefused: it was not, so nothing in it is changed or deleted.
    """
    if not state.path.is_dir():
        raise StateRefused(f"{state.path} is not a folder. Choose another KEEPSITE_STATE_DIR.")
    if not state.lock.exists():
        raise StateRefused(
            f"{state.path} holds files that are not Keepsite's state. "
            "Choose an empty folder as KEEPSITE_STATE_DIR."
        )


def hold_lock(state: StateFolder) -> TextIO:
    """Take the folder for this process; the lock ends with the returned file, or the process.

    Raises:
        StateRefused: another Keepsite has it; the message says which process.
    """
    lock = os.fdopen(os.open(state.lock, os.O_RDWR | os.O_CREAT, FILE_MODE), "r+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = lock.read().strip() or "unknown"
        lock.close()
        raise StateRefused(
            f"Keepsite is running on {state.path} (process {holder}). Stop it there first, with Ctrl-C. "
            "To run a second one, give it a KEEPSITE_STATE_DIR and a KEEPSITE_BIND of its own."
        ) from None
    lock.truncate()
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


def write_private(path: Path, text: str) -> None:
    """Put ``text`` in place in one step; the file is never readable by others, not even empty."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def keep_secret_key(state: StateFolder) -> None:
    """Make Django's key, once."""
    if not state.secret_key.exists():
        write_private(state.secret_key, secrets.token_urlsafe(SECRET_KEY_BYTES))


def write_environment(state: StateFolder, variables: dict[str, str]) -> None:
    """Keep the variables in a file that a shell can read; it holds paths, not secrets."""
    lines = [
        "# Written at every `make run`. To use Keepsite's commands on the same state:",
        f"#   set -a; . {shlex.quote(str(state.environment))}; set +a; .venv/bin/python manage.py help",
        *(f"{name}={shlex.quote(value)}" for name, value in variables.items()),
    ]
    write_private(state.environment, "\n".join(lines) + "\n")
