import re

_SLASHES = re.compile(r"/{2,}")


def normalised(path: str) -> str:
    """One spelling for paths that clients write with repeated or trailing slashes."""
    return _SLASHES.sub("/", path).rstrip("/") or "/"


def needs_identity(path: str) -> bool:
    """Whether a normalised ``path`` is answered only to a caller who is known.

    The version documents, health, the console (which has its own login) and static files are not.
    """
    return path == "/v1" or path.startswith("/v1/")
