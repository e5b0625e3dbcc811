"""Where the processes of a node keep their metrics, so that any of them can tell everybody's.

It imports nothing of ours and no metrics library: parents call it before they fork,
and the library looks at the environment when it is first imported.
"""

import os
import re
from pathlib import Path

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client's
_LIVE = re.compile(r"gauge_live\w*_(\d+)\.db")
_ANY = re.compile(r"\w+_(\d+)\.db")


def share(state_dir: Path) -> None:
    """Have this process and those it forks keep their metrics in files of the state folder."""
    folder = state_dir / "metrics"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ[VARIABLE] = str(folder)


def shared_folder() -> Path | None:
    """The folder of ``share``, None where this process keeps its metrics to itself."""
    folder = os.environ.get(VARIABLE)
    return Path(folder) if folder else None


def forget_the_dead(folder: Path) -> None:
    """Remove what processes that are gone had left; their counters begin at 0 again.  For a node's start."""
    _remove(folder, _ANY)


def forget_gauges_of_the_dead(folder: Path) -> None:
    """Remove the gauges of processes that are gone; what they counted stays counted."""
    _remove(folder, _LIVE)


def _remove(folder: Path, pattern: re.Pattern[str]) -> None:
    for file in folder.iterdir():
        match = pattern.fullmatch(file.name)
        if match and not _is_alive(int(match[1])):
            file.unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
