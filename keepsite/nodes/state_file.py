"""The one local file that says what this node stands for.

Node agent and API read it on every request, workers once a second, and nothing else, so that no outage of a
database or a broker flips a node.
"""

import os
from pathlib import Path

from keepsite.nodes.states import DOWN, Colour, NodeState

MAX_BYTES = 64


def read(path: Path) -> NodeState:
    """What the file says; missing, damaged or unreadable is ``DOWN``: it fails closed."""
    try:
        with path.open("rb") as file:
            line = file.read(MAX_BYTES)
    except OSError:
        return DOWN
    text = line.decode("ascii", errors="replace")
    return NodeState.parse(text.removesuffix("\n")) if text.endswith("\n") else DOWN


def takes_work(path: Path) -> bool:
    """Whether workers of this node may take work: it is green and up, or nobody ever gave it a colour.

    Without a file there is no node agent, or it was never told anything: a site that uses
    no colours needs none.  A file that is damaged keeps this node's workers idle.
    """
    return not path.exists() or read(path) == NodeState(Colour.GREEN)


def write(path: Path, state: NodeState) -> None:
    """Put ``state`` in the place of what the file said, at once and to stay.

    A reader sees the old line or the new one; after a power cut one of the two is there.

    Raises:
        OSError: the folder cannot be written; the file says what it said before.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    with beside.open("w") as file:
        file.write(f"{state}\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
